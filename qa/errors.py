"""One table: what each error means to an HTTP client and to a shell."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

from index import errors

EXIT_ANSWERED = 0
EXIT_NO_ANSWER = 1
EXIT_USAGE = 2
EXIT_INDEX = 3
EXIT_FAILURE = 4


class StoppedError(Exception):
    """Raised by a progress callback to end a sync before its time; what was read so far is kept."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """`type` is the stable name in problem+json; `title` says it in words."""

    status: int
    exit_code: int
    type: str
    title: str


MEANINGS: dict[type[errors.CitedQAError], Meaning] = {
    errors.ConfigError: Meaning(500, EXIT_USAGE, "config", "The configuration is wrong"),
    errors.QueryError: Meaning(422, EXIT_USAGE, "invalid-request", "The request is not acceptable"),
    errors.ReadError: Meaning(422, EXIT_FAILURE, "unreadable-file", "The file could not be read"),
    errors.DocumentNotFoundError: Meaning(404, EXIT_FAILURE, "document-not-found", "There is no such document"),
    errors.JobNotFoundError: Meaning(404, EXIT_FAILURE, "job-not-found", "There is no such job"),
    errors.ConflictError: Meaning(409, EXIT_FAILURE, "conflict", "What is there does not allow this change"),
    errors.EmptyCorpusError: Meaning(409, EXIT_FAILURE, "corpus-empty", "The corpus seems not to be there"),
    errors.NotUploadedError: Meaning(403, EXIT_FAILURE, "not-uploaded", "Without keys, only uploads go"),
    errors.FileTypeError: Meaning(415, EXIT_USAGE, "unsupported-type", "Files of this type are not read"),
    errors.DiskError: Meaning(503, EXIT_FAILURE, "disk-unwritable", "The disk can't be written to"),
    errors.DiskFullError: Meaning(507, EXIT_FAILURE, "disk-full", "There is no room on the disk"),
    errors.EncoderError: Meaning(503, EXIT_USAGE, "encoder", "The encoder could not be used"),
    errors.ClusterError: Meaning(503, EXIT_FAILURE, "cluster", "The cluster could not be used"),
    errors.IndexBusyError: Meaning(503, EXIT_FAILURE, "index-busy", "Another process is writing the index"),
    errors.IndexUnusableError: Meaning(503, EXIT_INDEX, "index-unusable", "There is no usable index"),
    errors.IndexMissingError: Meaning(503, EXIT_INDEX, "index-missing", "Nothing has been indexed yet"),
    errors.IndexMismatchError: Meaning(503, EXIT_INDEX, "index-mismatch", "The index was made with other settings"),
    errors.IndexDamagedError: Meaning(503, EXIT_INDEX, "index-damaged", "The index is damaged"),
    errors.CitedQAError: Meaning(500, EXIT_FAILURE, "internal", "Something failed"),
}


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_UNWRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)


def disk_error(error: OSError, place: Path) -> errors.CitedQAError:
    """What an error of the system says of a disk, in our own words, naming `place`."""
    if error.errno in _FULL:
        return errors.DiskFullError(f"{place}: {error.strerror}; make room on the disk and try again")
    if error.errno in _UNWRITABLE:
        return errors.DiskError(f"{place}: {error.strerror}; let the user who runs this write there and try again")
    return errors.DiskError(f"{place}: {error.strerror or error}; look at the disk and try again")


def is_of_disk(error: OSError) -> bool:
    """Whether an error of the system comes of a disk that is full, read-only, broken or not ours to write to."""
    return error.errno in (*_FULL, *_UNWRITABLE, errno.EIO)


def meaning(error: errors.CitedQAError) -> Meaning:
    """What an error means; the nearest class up the tree counts."""
    return next(MEANINGS[cls] for cls in type(error).__mro__ if cls in MEANINGS)
