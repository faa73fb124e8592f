"""Keep an index in step with folders of documents: what changed is read, the rest is left alone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from index.encoder import Encoder
from index.errors import ConfigError
from index.indexing.embeddings import Advance, Embedder
from index.indexing.ingest import File, Gone, Intake, Known, by_file, document_id
from index.indexing.pipeline import Pipeline
from index.indexing.report import SyncReport
from index.indexing.workers import Workers
from index.parsing import SUFFIXES
from index.parsing.isolated import Reader
from index.store import Changes, Place, Store, Writer
from index.store.local import Settings
from index.store.opening import LocalPlace
from index.text.segmenter import PLAIN, Segmenter
from index.types import Progress


@dataclass(frozen=True, slots=True)
class _Listing:
    files: list[File]
    unreadable: list[Path]


def sync(
    corpus: Mapping[str, Path],
    data_dir: Path,
    encoder: Encoder,
    *,
    base: Path,
    segmenter: Segmenter = PLAIN,
    only: Sequence[Path] = (),
    may_be_gone: bool = False,
    rebuild: bool = False,
    progress: Progress | None = None,
    ray: str | None = None,
    place: Place | None = None,
) -> tuple[Store, SyncReport]:
    """Bring the index in `data_dir`, or in another `place`, in step with the folders of `corpus` (name to folder).

    `only` limits the work to these files and folders; with `may_be_gone` what was read from those of them that are no
    more is removed, else they are an error. Paths are shown relative to `base` where they lie inside it.
    `ray` is the address of a Ray cluster that does what `index.indexing.digest` does.

    Raises:
        ClusterError: see `index.indexing.ray`.
        ConfigError: a folder of the corpus is missing, or a path of `only` is, or lies outside all of them.
        IndexBusyError, IndexMismatchError: see `index.store.Place`.
    """
    started = time.monotonic()
    report = SyncReport()
    told_ahead = encoder.is_slow and ray is None
    listing = _list(corpus, base, only, data_dir, may_be_gone)
    place = place or LocalPlace(data_dir)
    with (
        _workers(encoder, segmenter, ray) as workers,
        place.writing(Settings(encoder.fingerprint, segmenter), lambda: encoder.dim, rebuild=rebuild) as writer,
        closing(Embedder(encoder, data_dir)) as embedder,
        Reader() as reader,
    ):
        known = _known(writer.database, listing, corpus, only)
        gone = Gone(_gone(known, listing, only, base))
        with Pipeline(writer.database, embedder, workers) as pipeline:
            intake = Intake(writer, pipeline, reader, gone, report)
            for number, file in enumerate(listing.files):
                # Where embedding is slow and done here a file is told of when its turn comes, else when it is stored.
                advance = _within(file, number, len(listing.files), progress) if told_ahead else None
                intake.take(file, known.get(file.id, Known()), advance)
                if progress and not told_ahead:
                    pipeline.tell(partial(progress, file.shown, number, len(listing.files)))
        with writer.database.together():
            for file_id, left in gone.left():
                _forget(file_id, left, writer, report)
        store = writer.finish(workers, progress)
        embedder.trim(store.units)
    report.documents, report.passages = store.counts()
    report.generation = store.generation
    report.seconds = time.monotonic() - started
    return store, report


def _workers(encoder: Encoder, segmenter: Segmenter, ray: str | None) -> Workers:
    if ray is None:
        return Workers(encoder, segmenter)
    from index.indexing.ray import RayWorkers

    return RayWorkers(encoder, segmenter, ray)


def _within(file: File, number: int, files: int, progress: Progress | None) -> Advance | None:
    """Progress with what is embedded of a file, as progress with the files; also says that the file's turn has come."""
    if progress is None:
        return None
    told = progress
    told(file.shown, number, files)

    def advance(done: int, texts: int) -> None:
        if done < texts:
            told(f"{file.shown} ({done:,} of {texts:,} embedded)", number + done / texts, files)

    return advance


def _list(corpus: Mapping[str, Path], base: Path, only: Sequence[Path], data_dir: Path, may_be_gone: bool) -> _Listing:
    limits = {path.resolve() for path in only}
    for limit in limits:
        if not limit.exists() and not may_be_gone:
            raise ConfigError(f"{limit}: no such file or folder")
        if not any(limit.is_relative_to(folder.resolve()) for folder in corpus.values()):
            raise ConfigError(f"{limit}: lies outside the corpus; add its folder to `corpus` in config.yaml")
    listing = _Listing([], [])
    for collection, folder in corpus.items():
        if not folder.is_dir():
            if limits and not any(limit.is_relative_to(folder.resolve()) for limit in limits):
                continue
            raise ConfigError(f"corpus: {folder}: no such folder; correct `corpus` in config.yaml")
        root = folder.resolve()
        for name, reason in _walk(str(root), str(data_dir.resolve()), listing, limits):
            path = Path(name)
            if not _is_wanted(path, limits):
                continue
            listing.files.append(File.of(collection, _relative(name, root), path, shown_path(name, base), reason))
    return listing


def _relative(name: str, root: Path) -> str:
    return name[len(str(root)) :].lstrip(os.sep).replace(os.sep, "/")


def files_in(folder: Path, data_dir: Path) -> Iterator[tuple[Path, str, str]]:
    """The files of a collection's folder, also those of types that are not read: path, path in the folder, reason.

    The reason says why something can't be copied: a link that leads elsewhere, a folder that can't be listed.
    """
    root = folder.resolve()
    for name, reason in _walk(str(root), str(data_dir.resolve()), _Listing([], [])):
        path = Path(name)
        is_file = path.is_file() and path.resolve().is_relative_to(root)
        yield path, _relative(name, root), "" if is_file else reason or "is no file"


def shown_path(path: str, base: Path) -> str:
    """A path as users see it: relative to `base`, or absolute outside it."""
    shown = path.removeprefix(f"{str(base).rstrip(os.sep)}{os.sep}").replace(os.sep, "/")
    return shown.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _walk(root: str, ours: str, listing: _Listing, limits: Set[Path] = frozenset()) -> Iterator[tuple[str, str]]:
    """The files under `root`, folder by folder, each with the reason why it is not read; empty where it is.

    The index itself, in the folder `ours`, is passed over.
    """
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as exc:
            yield folder, f"{exc.strerror}; what was read from it before stays in the index"
            listing.unreadable.append(Path(folder))
            continue
        visible = [entry for entry in entries if not entry.name.startswith((".", "~$")) and entry.path != ours]
        inner = (entry.path for entry in reversed(visible) if entry.is_dir(follow_symlinks=False))
        folders.extend(path for path in inner if _may_hold(path, limits))
        for entry in visible:
            reason = _unread(entry, root)
            if reason or not _is_folder(entry):
                yield entry.path, reason


def _may_hold(folder: str, limits: Set[Path]) -> bool:
    """Whether something that is wanted may lie in a folder."""
    return not limits or any(limit.is_relative_to(folder) or Path(folder).is_relative_to(limit) for limit in limits)


def _unread(entry: os.DirEntry[str], root: str) -> str:
    """Why a file is not read; empty for a folder, and for a file that is."""
    if entry.is_symlink() and not Path(os.path.realpath(entry.path)).is_relative_to(root):
        return "a link out of the corpus; copy the file instead"
    if _is_folder(entry):
        return "a link to a folder; put the folder itself into the corpus" if entry.is_symlink() else ""
    suffix = os.path.splitext(entry.name)[1]
    return "" if suffix.lower() in SUFFIXES else f"files of type {suffix or '(none)'} are not read"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _is_wanted(path: Path, limits: Set[Path]) -> bool:
    """Whether a path is one of `limits` or lies in one; any is when there are none."""
    return not limits or path in limits or not limits.isdisjoint(path.parents)


def _known(database: Changes, listing: _Listing, corpus: Mapping[str, Path], only: Sequence[Path]) -> dict[str, Known]:
    """What the index holds of files, by id: of all, or of those named in `only` where that names single files."""
    listed = {file.path: file.id for file in listing.files}
    ids: set[str] = set()
    for limit in (path.resolve() for path in only):
        if limit in listed:
            ids.add(listed[limit])
            continue
        places = ((name, folder.resolve()) for name, folder in corpus.items())
        gone = [document_id(name, _relative(str(limit), root)) for name, root in places if limit.is_relative_to(root)]
        if not any(any(database.of_file(id)) for id in gone):
            ids.clear()
            break  # a folder, there or not
        ids.update(gone)
    if not ids:
        return by_file(database.files(), database.skipped())
    return by_file(database.files(ids), (skipped for skipped in database.skipped() if skipped.file in ids))


def _gone(known: Mapping[str, Known], listing: _Listing, only: Sequence[Path], base: Path) -> dict[str, Known]:
    """What is known of files that are no more, by id. A folder that can't be listed now keeps what was read from it."""
    readable = {file.id for file in listing.files if not file.reason}
    limits = {path.resolve() for path in only}
    gone = {}
    for id, file in known.items():
        if id in readable:
            continue
        path = base / file.records[0].path
        if _is_wanted(path, limits) and not any(path.is_relative_to(folder) for folder in listing.unreadable):
            gone[id] = file
    # A file that is there and not to be read is noted again where it is met.
    refused = {file.id for file in listing.files if file.reason}
    return {id: Known(file.documents) if id in refused else file for id, file in gone.items()}


def _forget(file_id: str, known: Known, writer: Writer, report: SyncReport) -> None:
    for info in known.documents:
        writer.database.remove(info.id)
        report.removed.append(info.path)
    if known.skipped:
        writer.database.skip(file_id, ())
