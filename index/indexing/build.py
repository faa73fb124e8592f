"""Keep an index in step with folders of documents: what changed is read, the rest is left alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from index.encoder import Encoder
from index.indexing.embeddings import Advance, Embedder
from index.indexing.folders import (
    File,
    Listing,
    Root,
    document_id,
    is_wanted,
    list_files,
    refuse_vanished,
    relative_name,
    remember_roots,
    remembered_roots,
    roots,
)
from index.indexing.ingest import Gone, Intake, Known, Pipeline, by_file
from index.indexing.report import SyncReport
from index.indexing.workers import Workers
from index.parsing.isolated import IsolatedParser
from index.store import IndexChanges, IndexLocation, IndexWriter, Settings, Store
from index.store.location import LocalLocation
from index.text.segmenter import PLAIN, Segmenter
from index.types import Progress

MakeWorkers = Callable[[Encoder, Segmenter], Workers]


def sync(
    corpus: Mapping[str, Path],
    data_dir: Path,
    encoder: Encoder,
    *,
    base: Path,
    segmenter: Segmenter = PLAIN,
    only: Sequence[Path] = (),
    may_be_gone: bool = False,
    allow_empty: bool = False,
    rebuild: bool = False,
    progress: Progress | None = None,
    workers: MakeWorkers = Workers,
    place: IndexLocation | None = None,
) -> tuple[Store, SyncReport]:
    """Bring the index in `data_dir`, or in another `place`, in step with the folders of `corpus` (name to folder).

    `only` limits the work to these files and folders; with `may_be_gone` what was read from those of them that are no
    more is removed, else they are an error. With `allow_empty` a folder may lose all that was read from it.
    Paths are shown relative to `base` where they lie inside it. `workers` makes the processes that do what
    `index.indexing.digest` does, here or on a cluster.

    Raises:
        ClusterError: see `index.indexing.ray.RayWorkers`.
        ConfigError: a folder of the corpus is missing, or a path of `only` is, or lies outside all of them.
        EmptyCorpusError: a folder of the corpus is empty, or another, and its documents would leave the index.
        IndexBusyError, IndexMismatchError: see `index.store.IndexLocation`.
    """
    started = time.monotonic()
    report = SyncReport()
    listing = list_files(corpus, base, only, data_dir, may_be_gone)
    place = place or LocalLocation(data_dir)
    with (
        workers(encoder, segmenter) as helpers,
        place.writing(Settings(encoder.fingerprint, segmenter), lambda: encoder.dim, rebuild=rebuild) as writer,
        closing(Embedder(encoder, data_dir)) as embedder,
        IsolatedParser() as parser,
    ):
        known = _known(writer.database, listing, corpus, only)
        going = _gone(known, listing, only, base)
        met = roots(corpus, listing, only)
        if not allow_empty:
            _refuse_vanished(met, remembered_roots(data_dir), known, going, base, rebuild=rebuild)
        gone = Gone(going)
        with Pipeline(writer.database, embedder, helpers) as pipeline:
            intake = Intake(writer, pipeline, parser, gone, report)
            _take(listing.files, known, intake, pipeline, progress, told_ahead=encoder.is_slow and not helpers.count)
        with writer.database.together():
            for file_id, left in gone.left():
                _forget(file_id, left, writer, report)
        store = writer.finish(helpers.cut, progress)
        remember_roots(data_dir, met)
        embedder.trim(store.units)
    report.documents, report.passages = store.counts()
    report.generation = store.generation
    report.seconds = time.monotonic() - started
    return store, report


def _take(
    files: Sequence[File],
    known: Mapping[str, Known],
    intake: Intake,
    pipeline: Pipeline,
    progress: Progress | None,
    *,
    told_ahead: bool,
) -> None:
    """Where embedding is slow and done here a file is told of when its turn comes, else when it is stored."""
    for number, file in enumerate(files):
        advance = _within(file, number, len(files), progress) if told_ahead else None
        intake.take(file, known.get(file.id, Known()), advance)
        if progress and not told_ahead:
            pipeline.tell(partial(progress, file.shown, number, len(files)))


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


def _known(
    database: IndexChanges, listing: Listing, corpus: Mapping[str, Path], only: Sequence[Path]
) -> dict[str, Known]:
    """What the index holds of files, by id: of all, or of those named in `only` where that names single files."""
    listed = {file.path: file.id for file in listing.files}
    ids: set[str] = set()
    for limit in (path.resolve() for path in only):
        if limit in listed:
            ids.add(listed[limit])
            continue
        places = ((name, folder.resolve()) for name, folder in corpus.items())
        gone = [
            document_id(name, relative_name(str(limit), root)) for name, root in places if limit.is_relative_to(root)
        ]
        if not any(any(database.of_file(id)) for id in gone):
            ids.clear()
            break  # a folder, there or not
        ids.update(gone)
    if not ids:
        return by_file(database.files(), database.skipped())
    return by_file(database.files(ids), (skipped for skipped in database.skipped() if skipped.file in ids))


def _gone(known: Mapping[str, Known], listing: Listing, only: Sequence[Path], base: Path) -> dict[str, Known]:
    """What is known of files that are no more, by id. A folder that can't be listed now keeps what was read from it."""
    readable = {file.id for file in listing.files if not file.reason}
    limits = {path.resolve() for path in only}
    gone = {}
    for id, file in known.items():
        if id in readable:
            continue
        path = base / file.records[0].path
        if is_wanted(path, limits) and not any(path.is_relative_to(folder) for folder in listing.unreadable):
            gone[id] = file
    # A file that is there and not to be read is noted again where it is met.
    refused = {file.id for file in listing.files if file.reason}
    return {id: Known(file.documents) if id in refused else file for id, file in gone.items()}


def _refuse_vanished(
    met: Mapping[str, Root],
    before: Mapping[str, Root],
    known: Mapping[str, Known],
    going: Mapping[str, Known],
    base: Path,
    *,
    rebuild: bool,
) -> None:
    for name, root in met.items():
        earlier = before.get(name)
        if rebuild:  # the new index knows of no files yet
            indexed = earlier.files if earlier else 0
            refuse_vanished(root, earlier, indexed, max(0, indexed - root.files))
        else:
            refuse_vanished(root, earlier, _files_in(root, known.values(), base), _files_in(root, going.values(), base))


def _files_in(root: Root, known: Iterable[Known], base: Path) -> int:
    """How many files of a folder there are documents of."""
    return sum((base / file.documents[0].path).is_relative_to(root.folder) for file in known if file.documents)


def _forget(file_id: str, known: Known, writer: IndexWriter, report: SyncReport) -> None:
    for info in known.documents:
        writer.database.remove(info.id)
        report.removed.append(info.path)
    if known.skipped:
        writer.database.skip(file_id, ())
