"""Keep an index in step with folders of documents: what changed is read, the rest is left alone."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from index.embeddings import Advance, Embedder
from index.encoder import Encoder, Vectors, unit_length
from index.errors import ConfigError, ReadError
from index.fold import HIDDEN
from index.passages import clean, split
from index.readers import MAX_FILE_BYTES, SUFFIXES, read
from index.segmenter import PLAIN, Segmenter
from index.sentences import clauses
from index.store.database import Units
from index.store.local import LocalStore, Settings, Writer, writing
from index.store.vectors import UNITS_PER_PASSAGE
from index.types import Document, KnownFile, Section, Span

# A file changed this shortly before it was read may change again without its time stamp showing it.
_RACY_NS = 2_000_000_000
MIN_UNIT_CHARS = 12
# Beside 1 for the unit itself; 0.3 to 0.5 measured alike.
CONTEXT_SHARE = 0.3

Progress = Callable[[str, float, int], None]
"""Told of what is being done, how many files are done (with the done part of the present one), and of how many."""


@dataclass(slots=True)
class SyncReport:
    """What a sync did, in paths as they are now.

    `skipped` holds one message a file that could not be read; its last good version is kept.
    """

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    unchanged: int = 0
    skipped: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    passages: int = 0
    documents: int = 0
    generation: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _File:
    document_id: str
    collection: str
    path: Path
    shown: str


@dataclass(frozen=True, slots=True)
class _Listing:
    files: list[_File]
    skipped: list[str]
    unreadable: list[Path]


def sync(
    corpus: Mapping[str, Path],
    data_dir: Path,
    encoder: Encoder,
    *,
    base: Path,
    segmenter: Segmenter = PLAIN,
    only: Sequence[Path] = (),
    rebuild: bool = False,
    progress: Progress | None = None,
) -> tuple[LocalStore, SyncReport]:
    """Bring the index in `data_dir` in step with the folders of `corpus` (collection name to folder).

    `only` limits the work to these files and folders. Paths are shown relative to `base` where they lie inside it.

    Raises:
        ConfigError: a folder of the corpus is missing, or a path of `only` lies outside all of them.
        IndexBusyError, IndexMismatchError: see `index.store.local.writing`.
    """
    started = time.monotonic()
    report = SyncReport()
    listing = _list(corpus, base, only, data_dir)
    report.skipped.extend(listing.skipped)
    with (
        writing(data_dir, Settings(encoder.fingerprint, segmenter), lambda: encoder.dim, rebuild=rebuild) as writer,
        closing(Embedder(encoder, data_dir)) as embedder,
    ):
        known = {info.id: info for info in writer.database.files()}
        gone = _Gone(_gone(known.values(), listing, only, base))
        for number, file in enumerate(listing.files):
            advance = _within(file, number, len(listing.files), progress)
            _sync_file(file, known.get(file.document_id), gone, writer, embedder, report, advance)
        for info in gone.left():
            writer.database.remove(info.id)
            report.removed.append(info.path)
        if progress:
            progress("", len(listing.files), len(listing.files))
        store = writer.finish()
        embedder.trim(store.units)
    report.documents, report.passages = store.counts()
    report.generation = store.generation
    report.seconds = time.monotonic() - started
    return store, report


def _within(file: _File, number: int, files: int, progress: Progress | None) -> Advance | None:
    """Progress with what is embedded of a file, as progress with the files; also says that the file's turn has come."""
    if progress is None:
        return None
    told = progress
    told(file.shown, number, files)

    def advance(done: int, texts: int) -> None:
        if done < texts:
            told(f"{file.shown} ({done:,} of {texts:,} embedded)", number + done / texts, files)

    return advance


class _Gone:
    """Documents whose file is no more where it was; a file with the same content that is new is the same, moved."""

    def __init__(self, infos: Iterable[KnownFile]) -> None:
        self._infos: dict[tuple[str, str], list[KnownFile]] = {}
        for info in infos:
            self._infos.setdefault((info.sha256, Path(info.path).suffix.lower()), []).append(info)

    def take(self, sha256: str, path: Path) -> KnownFile | None:
        """The document that now is at `path`; files of another type are read in another way."""
        same = self._infos.get((sha256, path.suffix.lower()), [])
        return same.pop(0) if same else None

    def left(self) -> list[KnownFile]:
        return [info for infos in self._infos.values() for info in infos]


def document_id(collection: str, relative: str) -> str:
    """Stable across rebuilds: made of where the file is, never of what it says."""
    return hashlib.sha256(f"{collection}\0{relative}".encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _list(corpus: Mapping[str, Path], base: Path, only: Sequence[Path], data_dir: Path) -> _Listing:
    limits = [path.resolve() for path in only]
    for limit in limits:
        if not limit.exists():
            raise ConfigError(f"{limit}: no such file or folder")
        if not any(limit.is_relative_to(folder.resolve()) for folder in corpus.values()):
            raise ConfigError(f"{limit}: lies outside the corpus; add its folder to `corpus` in config.yaml")
    listing = _Listing([], [], [])
    for collection, folder in corpus.items():
        if not folder.is_dir():
            if limits and not any(limit.is_relative_to(folder.resolve()) for limit in limits):
                continue
            raise ConfigError(f"corpus: {folder}: no such folder; correct `corpus` in config.yaml")
        root = folder.resolve()
        for name in _walk(str(root), str(data_dir.resolve()), listing):
            path = Path(name)
            if limits and not any(path.is_relative_to(limit) for limit in limits):
                continue
            relative = name[len(str(root)) :].lstrip(os.sep).replace(os.sep, "/")
            listing.files.append(_File(document_id(collection, relative), collection, path, shown_path(name, base)))
    return listing


def shown_path(path: str, base: Path) -> str:
    """A path as users see it: relative to `base`, or absolute outside it."""
    shown = path.removeprefix(f"{str(base).rstrip(os.sep)}{os.sep}").replace(os.sep, "/")
    return shown.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _walk(root: str, ours: str, listing: _Listing) -> Iterator[str]:
    """The files under `root` that can be read, folder by folder; the rest is noted in `listing`.

    The index itself, in the folder `ours`, is passed over.
    """
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as exc:
            listing.skipped.append(f"{folder}: {exc.strerror}; what was read from it before stays in the index")
            listing.unreadable.append(Path(folder))
            continue
        visible = [entry for entry in entries if not entry.name.startswith((".", "~$")) and entry.path != ours]
        folders.extend(entry.path for entry in reversed(visible) if entry.is_dir(follow_symlinks=False))
        for entry in visible:
            if reason := _unread(entry, root):
                listing.skipped.append(f"{entry.path}: {reason}")
            elif not _is_folder(entry):
                yield entry.path


def _unread(entry: os.DirEntry[str], root: str) -> str | None:
    """Why a file is not read; None for a folder, and for a file that is."""
    if entry.is_symlink() and not Path(os.path.realpath(entry.path)).is_relative_to(root):
        return "a link out of the corpus; copy the file instead"
    suffix = os.path.splitext(entry.name)[1]
    if _is_folder(entry) or suffix.lower() in SUFFIXES:
        return None
    return f"files of type {suffix or '(none)'} are not read"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _sync_file(
    file: _File,
    known: KnownFile | None,
    gone: _Gone,
    writer: Writer,
    embedder: Embedder,
    report: SyncReport,
    advance: Advance | None,
) -> None:
    try:
        status = file.path.stat()
        if known and _is_same(known, status):
            report.unchanged += 1
            return
        read_at = datetime.now(UTC)
        data = _read_bytes(file.path, status)
        digest = hashlib.sha256(data).hexdigest()
        read_stamp = read_at.isoformat(timespec="seconds")
        if known and known.sha256 == digest:
            writer.database.touch(known.id, status.st_size, status.st_mtime_ns, read_stamp)
            report.unchanged += 1
            return
        if before := gone.take(digest, file.path):
            place = (file.document_id, file.collection, file.shown)
            writer.database.move(before.id, *place, status.st_size, status.st_mtime_ns, read_stamp)
            report.moved.append(file.shown)
            return
        found = read(file.path, data)
    except (OSError, ReadError) as exc:
        reason = f"{file.path}: {exc.strerror}" if isinstance(exc, OSError) else str(exc)
        report.skipped.append(reason + ("; its last version stays in the index" if known else ""))
        return
    sections = split(found.text)
    document = Document(
        id=file.document_id, collection=file.collection, path=file.shown, title=sections[0].title, text=found.text,
        sha256=digest, size=status.st_size, mtime_ns=status.st_mtime_ns, read_at=read_stamp, encoding=found.encoding,
        warnings=found.warnings,
    )  # fmt: skip
    writer.database.put(document, sections, embed(document.text, sections, embedder, advance))
    (report.changed if known else report.added).append(file.shown)
    report.warnings.extend(f"{file.shown}: {warning}" for warning in found.warnings)


def _is_same(known: KnownFile, status: os.stat_result) -> bool:
    read_ns = int(datetime.fromisoformat(known.read_at).timestamp() * 1e9)
    return (known.size, known.mtime_ns) == (status.st_size, status.st_mtime_ns) and (
        status.st_mtime_ns < read_ns - _RACY_NS
    )


def _read_bytes(path: Path, status: os.stat_result) -> bytes:
    if not stat.S_ISREG(status.st_mode):
        raise ReadError(f"{path}: is not a regular file")
    if status.st_size > MAX_FILE_BYTES:
        raise ReadError(f"{path}: is larger than {MAX_FILE_BYTES >> 20} MB; split it")
    return path.read_bytes()


def _gone(known: Iterable[KnownFile], listing: _Listing, only: Sequence[Path], base: Path) -> list[KnownFile]:
    """Documents whose file is no more. A folder that can't be listed now keeps what was read from it."""
    present = {file.document_id for file in listing.files}
    limits = [path.resolve() for path in only]
    gone = []
    for info in known:
        if info.id in present:
            continue
        path = base / info.path
        is_in_scope = not limits or any(path.is_relative_to(limit) for limit in limits)
        is_hidden = any(path.is_relative_to(folder) for folder in listing.unreadable)
        if is_in_scope and not is_hidden:
            gone.append(info)
    return gone


def embed(text: str, sections: Sequence[Section], embedder: Embedder, advance: Advance | None = None) -> list[Units]:
    """The embedded units of each section: its clauses, so that one figure among twenty-five can be found.

    A unit's vector also holds a share of its passage and of the title and headings above it: the clause alone seldom
    says which place or year it speaks of.
    """
    cleaned = [clean(text[section.start : section.end], section.start, section.hidden) for section in sections]
    spans = [unit_spans(passage) for passage in cleaned]
    texts = [
        passage[start:end].replace(HIDDEN, "")
        for passage, units in zip(cleaned, spans, strict=True)
        for start, end in units
    ]
    headings = ["\n".join([section.title, *section.heading_path, *section.context]) for section in sections]
    distinct = list(dict.fromkeys(headings))
    encoded = embedder.encode([*distinct, *texts], advance)
    contexts = dict(zip(distinct, encoded, strict=False))
    vectors = np.split(encoded[len(distinct) :], np.cumsum([len(units) for units in spans])[:-1])
    return [
        Units(tuple(units), _in_context(own, contexts[heading]).astype(np.float16))
        for units, own, heading in zip(spans, vectors, headings, strict=True)
    ]


def _in_context(own: Vectors, heading: Vectors) -> Vectors:
    """Vectors of a passage's units `(units, dim)` with a share of the whole passage and of its heading `(dim,)`."""
    whole = unit_length(own.sum(axis=0, keepdims=True))
    return unit_length(own + CONTEXT_SHARE * (whole + heading))


def unit_spans(text: str) -> list[Span]:
    """Clauses of a passage's clean text; crumbs are joined to the clause before them on the same line."""
    found: list[Span] = []
    for start, end in clauses(text):
        is_crumb = bool(found) and (end - start < MIN_UNIT_CHARS or found[-1][1] - found[-1][0] < MIN_UNIT_CHARS)
        if is_crumb and "\n" not in text[found[-1][1] : start]:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found[:UNITS_PER_PASSAGE]
