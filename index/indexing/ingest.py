"""Files into the index: what they hold becomes documents, what can't be read is noted with its reason.

`Intake` decides what is to be done with a file, `Pipeline` does it in order, many steps in one transaction, while other
processes digest what comes next.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType

from index.errors import EncoderError, ReadError
from index.indexing.digest import Digest, digest
from index.indexing.embeddings import Advance, Embedder
from index.indexing.folders import File, document_id
from index.indexing.report import Remark, SyncReport
from index.indexing.workers import Workers
from index.parsing import MAX_FILE_BYTES, ReadText, Unread, ocr
from index.parsing.isolated import IsolatedParser
from index.store import IndexChanges, IndexWriter
from index.types import Document, KnownFile, Skipped

# A file changed this shortly before it was read may change again without its time stamp showing it.
_RACY_NS = 2_000_000_000
# The time stamp of what is noted while a file is being read: no file looks like this, so a run that is cut short
# reads it again.
_UNSETTLED = -1
# Texts that one process digests in one go: large enough that handing them over costs little.
_BATCH_CHARS = 30_000
# Before so much has come the other processes are not worth starting.
_MUCH_CHARS = 1_000_000
# So many characters, or so many seconds, are one transaction.
_TOGETHER_CHARS = 300_000
_TOGETHER_S = 0.3
_KEPT = "; its last version stays in the index"


@dataclass(slots=True)
class Known:
    """What the index holds of a file."""

    documents: list[KnownFile] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def records(self) -> list[KnownFile | Skipped]:
        return [*self.documents, *self.skipped]

    @property
    def wants_ocr(self) -> bool:
        """Whether some of it needed OCR, which has been installed since."""
        if not ocr.is_available():
            return False
        return any(document.needs_ocr for document in self.documents) or any(
            ocr.ADVICE in skipped.reason for skipped in self.skipped
        )


class Gone:
    """What is known of files that are no more where they were; a new file with the same content is the same, moved."""

    def __init__(self, files: Mapping[str, Known]) -> None:
        self._files = dict(files)
        self._ids: dict[tuple[str, str], list[str]] = {}
        for id, file in files.items():
            # An archive that was moved is read again: what it holds has other names now.
            if [document.id for document in file.documents] == [id] and not file.skipped:
                (document,) = file.documents
                self._ids.setdefault((document.sha256, Path(document.path).suffix.lower()), []).append(id)

    def take(self, sha256: str, path: Path) -> KnownFile | None:
        """The document that now is at `path`; files of another type are read in another way."""
        ids = self._ids.get((sha256, path.suffix.lower()))
        return self._files.pop(ids.pop(0)).documents[0] if ids else None

    def left(self) -> Iterable[tuple[str, Known]]:
        """The files that have not been found elsewhere, by id."""
        return self._files.items()


@dataclass(slots=True)
class _TextBatch:
    """Texts on their way through one process."""

    texts: list[ReadText] = field(default_factory=list)
    chars: int = 0
    digests: Future[list[Digest]] | None = None


class Pipeline:
    """Steps are taken in the order in which they are handed in; those that wait for a digest hold up the rest.

    As a context manager it takes all steps before it ends, also when an error ends it that came with a later one.
    """

    def __init__(self, database: IndexChanges, embedder: Embedder, workers: Workers) -> None:
        self._database = database
        self._embedder = embedder
        self._workers = workers
        self._steps: deque[tuple[int, Callable[[], object]]] = deque()
        self._batch = _TextBatch()
        self._told: list[Callable[[], object]] = []
        self._waiting_chars = self._seen_chars = 0
        self._stored_at = time.monotonic()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is None or isinstance(error, Exception):
            self._take(0)

    def then(self, step: Callable[[], object]) -> None:
        """Take a step when those before it have been taken."""
        self._steps.append((0, step))
        if not self._waiting_chars:
            self._take_if_due()

    def tell(self, told: Callable[[], object]) -> None:
        """Tell of progress when the steps before it are stored."""
        self.then(partial(self._told.append, told))

    def digest(self, text: ReadText, store: Callable[[Digest], None], advance: Advance | None = None) -> None:
        """Digest a text, and `store` what comes of it in its turn; `advance` is told how much of it is embedded.

        Raises:
            EncoderError: of this text, or of an earlier one.
        """
        chars = len(text.text)
        self._seen_chars += chars
        if self._is_handed_over:
            self._hand_over(text, store)
        else:
            self._steps.append((chars, partial(store, digest(text, self._embedder, advance))))
        self._waiting_chars += chars
        self._take_if_due()

    @property
    def _is_handed_over(self) -> bool:
        return self._workers.is_started or bool(self._workers.count and self._seen_chars > _MUCH_CHARS)

    def _hand_over(self, text: ReadText, store: Callable[[Digest], None]) -> None:
        batch, number = self._batch, len(self._batch.texts)
        batch.texts.append(text)
        batch.chars += len(text.text)

        def take() -> None:
            if batch.digests is None:
                self._submit()
            assert batch.digests is not None
            store(batch.digests.result()[number])

        self._steps.append((len(text.text), take))
        if batch.chars >= _BATCH_CHARS:
            self._submit()

    def _submit(self) -> None:
        texts, cache = self._batch.texts, self._embedder.cache
        workers = self._workers
        self._batch.digests = workers.digests(texts, cache) if cache else workers.submit("digests", texts)
        self._batch = _TextBatch()

    def _take_if_due(self) -> None:
        if self._is_handed_over:
            # What is under way stays, so that the other processes have no pause.
            under_way = self._workers.ahead * _BATCH_CHARS
            if self._waiting_chars > under_way + _TOGETHER_CHARS:
                self._take(under_way)
        elif self._waiting_chars > _TOGETHER_CHARS or time.monotonic() - self._stored_at > _TOGETHER_S:
            self._take(0)

    def _take(self, left_chars: int) -> None:
        """Take steps until so many characters are left, in one transaction."""
        failed: EncoderError | None = None
        steps, self._steps = self._steps, deque()  # after an error nothing is taken that came later
        with self._database.together():
            while steps and (self._waiting_chars > left_chars or not left_chars):
                chars, step = steps.popleft()
                self._waiting_chars -= chars
                try:
                    step()
                except EncoderError as exc:
                    failed = exc
                    break
        if failed:
            raise failed
        self._steps = steps
        self._stored_at = time.monotonic()
        told, self._told = self._told, []
        for tell in told:
            tell()


class Intake:
    """Takes files into the index that `writer` writes, and notes what it did in `report`."""

    def __init__(
        self, writer: IndexWriter, pipeline: Pipeline, parser: IsolatedParser, gone: Gone, report: SyncReport
    ) -> None:
        self._database = writer.database
        self._pipeline = pipeline
        self._advance: Advance | None = None
        self._parser = parser
        self._gone = gone
        self._report = report

    def take(self, file: File, known: Known, advance: Advance | None = None) -> None:
        """Bring the index in step with a file; one that is known and unchanged is not read.

        `advance` is told how much of a document is embedded.
        """
        self._advance = advance
        if file.reason:
            self._refuse(file, Known(skipped=known.skipped), file.reason)
            return
        try:
            status = file.path.stat()
            read_at = datetime.now(UTC).isoformat(timespec="seconds")
            if known.records and not known.wants_ocr and all(_is_same(record, status) for record in known.records):
                self._leave(known)
                return
            data = _read_bytes(file.path, status)
        except (OSError, ReadError) as exc:
            if not os.path.lexists(file.path):
                return  # it has gone since it was listed; the sync after takes note of that
            self._refuse(file, known, exc.strerror or str(exc) if isinstance(exc, OSError) else str(exc))
            return
        digest = hashlib.sha256(data).hexdigest()
        if _is_content(known, digest):
            self._leave(known)
        elif before := self._gone.take(digest, file.path):
            place = (file.id, file.collection, file.shown, status.st_size, status.st_mtime_ns, read_at)
            self._pipeline.then(partial(self._database.move, before.id, *place))
            if known.skipped:
                self._pipeline.then(partial(self._database.skip, file.id, ()))
            self._report.moved.append(file.shown)
        else:
            record = Skipped(file.shown, file.id, "", status.st_size, _UNSETTLED, read_at, digest)
            self._read(file, known, data, record)
        self._pipeline.then(partial(self._database.settle, file.id, status.st_size, status.st_mtime_ns, read_at))

    def _leave(self, known: Known) -> None:
        self._report.unchanged += len(known.documents)
        self._report.skipped.extend(f"{skipped.path}: {skipped.reason}" for skipped in known.skipped)

    def _refuse(self, file: File, known: Known, reason: str) -> None:
        """Note a file that could not even be opened; the next run tries again."""
        reason += _KEPT if known.documents else ""
        self._report.skipped.append(f"{file.shown}: {reason}")
        if [(skipped.path, skipped.reason) for skipped in known.skipped] != [(file.shown, reason)]:
            read_at = datetime.now(UTC).isoformat(timespec="seconds")
            skipped = [Skipped(file.shown, file.id, reason, 0, _UNSETTLED, read_at, "")]
            self._pipeline.then(partial(self._database.skip, file.id, skipped))

    def _read(self, file: File, known: Known, data: bytes, record: Skipped) -> None:
        before = {info.id: info for info in known.documents}
        present: set[str] = set()
        skipped: list[Skipped] = []
        for content in self._parser.contents(file.path, data):
            member = content.member
            place = f"{file.shown}/{member}" if member else file.shown
            id = document_id(file.collection, f"{file.relative}/{member}") if member else file.id
            if id in present and isinstance(content, ReadText):
                content = Unread("is the second file of this name in its archive; rename one", member)
            if isinstance(content, Unread):
                staying = {id} & before.keys() if member else before.keys()
                suffix = _KEPT if staying - present else ""
                skipped.append(replace(record, path=place, reason=content.reason + suffix))
                present |= staying
            else:
                self._pipeline.digest(content, partial(self._put, id, file, place, content, record), self._advance)
                (self._report.changed if id in before else self._report.added).append(place)
            present.add(id)
        for gone in before.keys() - present:
            self._pipeline.then(partial(self._database.remove, gone))
            self._report.removed.append(before[gone].path)
        if skipped or known.skipped:
            self._pipeline.then(partial(self._database.skip, file.id, skipped))
        self._report.skipped.extend(f"{item.path}: {item.reason}" for item in skipped)

    def _put(self, id: str, file: File, shown: str, read: ReadText, record: Skipped, digest: Digest) -> None:
        document = Document(
            id=id,
            file=file.id,
            collection=file.collection,
            path=shown,
            title=digest.sections[0].title,
            text=read.text,
            sha256=record.sha256,
            size=record.size,
            mtime_ns=record.mtime_ns,
            read_at=record.read_at,
            encoding=read.encoding,
            notices=digest.notices,
        )
        self._database.put(document, digest.sections, digest.units)
        self._report.remarks.extend(Remark(shown, notice) for notice in digest.notices)


def _is_same(record: KnownFile | Skipped, status: os.stat_result) -> bool:
    read_ns = int(datetime.fromisoformat(record.read_at).timestamp() * 1e9)
    return (record.size, record.mtime_ns) == (status.st_size, status.st_mtime_ns) and (
        status.st_mtime_ns < read_ns - _RACY_NS
    )


def _is_content(known: Known, digest: str) -> bool:
    """Whether all that is known of a file was made of these bytes, by a run that was not cut short."""
    return (
        bool(known.records)
        and not known.wants_ocr
        and all(record.sha256 == digest and record.mtime_ns != _UNSETTLED for record in known.records)
    )


def _read_bytes(path: Path, status: os.stat_result) -> bytes:
    if not stat.S_ISREG(status.st_mode):
        raise ReadError("is not a regular file")
    if status.st_size > MAX_FILE_BYTES:
        raise ReadError(f"is larger than {MAX_FILE_BYTES >> 20} MB; split it")
    return path.read_bytes()


def by_file(documents: Iterable[KnownFile], skipped: Iterable[Skipped]) -> dict[str, Known]:
    """What is known of each file, by its id."""
    known: dict[str, Known] = {}
    for info in documents:
        known.setdefault(info.file, Known()).documents.append(info)
    for item in skipped:
        known.setdefault(item.file, Known()).skipped.append(item)
    return known
