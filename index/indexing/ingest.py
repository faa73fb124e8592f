"""One file into the index: what it holds becomes documents, what can't be read is noted with its reason."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from index.errors import ReadError
from index.indexing.digest import Digest
from index.indexing.embeddings import Advance
from index.indexing.folders import File, document_id
from index.indexing.pipeline import Pipeline
from index.indexing.report import Remark, SyncReport
from index.parsing import MAX_FILE_BYTES, ReadText, Unread, ocr
from index.parsing.isolated import Reader
from index.store import Writer
from index.types import Document, KnownFile, Skipped

# A file changed this shortly before it was read may change again without its time stamp showing it.
_RACY_NS = 2_000_000_000
# The time stamp of what is noted while a file is being read: no file looks like this, so a run that is cut short
# reads it again.
_UNSETTLED = -1
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


class Intake:
    """Takes files into the index that `writer` writes, and notes what it did in `report`."""

    def __init__(self, writer: Writer, pipeline: Pipeline, reader: Reader, gone: Gone, report: SyncReport) -> None:
        self._database = writer.database
        self._pipeline = pipeline
        self._advance: Advance | None = None
        self._reader = reader
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
        for found in self._reader.contents(file.path, data):
            place = f"{file.shown}/{found.member}" if found.member else file.shown
            id = document_id(file.collection, f"{file.relative}/{found.member}") if found.member else file.id
            if id in present:
                found = Unread("is the second file of this name in its archive; rename one", found.member)
            if isinstance(found, Unread):
                kept = {id} & before.keys() if found.member else before.keys()
                suffix = _KEPT if kept - present else ""
                skipped.append(replace(record, path=place, reason=found.reason + suffix))
                present |= kept
            else:
                self._pipeline.digest(found, partial(self._put, id, file, place, found, record), self._advance)
                (self._report.changed if id in before else self._report.added).append(place)
            present.add(id)
        for gone in before.keys() - present:
            self._pipeline.then(partial(self._database.remove, gone))
            self._report.removed.append(before[gone].path)
        if skipped or known.skipped:
            self._pipeline.then(partial(self._database.skip, file.id, skipped))
        self._report.skipped.extend(f"{item.path}: {item.reason}" for item in skipped)

    def _put(self, id: str, file: File, shown: str, found: ReadText, record: Skipped, digest: Digest) -> None:
        document = Document(
            id=id,
            file=file.id,
            collection=file.collection,
            path=shown,
            title=digest.sections[0].title,
            text=found.text,
            sha256=record.sha256,
            size=record.size,
            mtime_ns=record.mtime_ns,
            read_at=record.read_at,
            encoding=found.encoding,
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
