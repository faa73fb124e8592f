"""Every error that a user can meet, as one tree.

CitedQAError
├── ConfigError             a setting is wrong
├── QueryError              a question or its options are wrong
├── ReadError               a file could not be read
├── DocumentNotFoundError   no document has this id
├── JobNotFoundError        no job has this id
├── ConflictError           what is there stands against a change
├── EmptyCorpusError        a folder of documents is empty or another: a disk may not be mounted
├── NotUploadedError        what was not uploaded is not to be deleted by who has no key
├── FileTypeError           a file is of a type that is not read
├── DiskError               the disk can't be written to
│   └── DiskFullError       it is full
├── EncoderError            the encoder could not be loaded or used
├── ClusterError            a Ray cluster can't be used, or no longer
├── IndexBusyError          another process is writing
└── IndexUnusableError
    ├── IndexMissingError   nothing has been indexed
    ├── IndexMismatchError  made with other settings
    └── IndexDamagedError   files are broken

Messages are one line, name the file, key or field, and say what to do. `qa.errors` maps each class to an HTTP status
and an exit code.
"""


class CitedQAError(Exception):
    """Root of the tree; catch it to catch all of ours."""


class ConfigError(CitedQAError):
    """A setting is unknown or has a value that can't be used."""


class QueryError(CitedQAError):
    """The question, `top_k` or a filter is not acceptable."""


class ReadError(CitedQAError):
    """A file could not be read; indexing reports it and goes on."""


class DocumentNotFoundError(CitedQAError):
    """No document in the index has the id that was asked for."""


class JobNotFoundError(CitedQAError):
    """No job has the id that was asked for."""


class ConflictError(CitedQAError):
    """A change is not possible as things stand: a file of that name is there, or a document is part of an archive."""


class EmptyCorpusError(CitedQAError):
    """A folder of the corpus is empty, or another one, and a sync would take its documents out of the index."""


class NotUploadedError(CitedQAError):
    """Without API keys only what was uploaded can be deleted or replaced over HTTP."""


class FileTypeError(CitedQAError):
    """What was sent is of a type that is not read."""


class DiskError(CitedQAError):
    """A file could not be written, moved or removed."""


class DiskFullError(DiskError):
    """There is no room for a file."""


class EncoderError(CitedQAError):
    """The encoder's model could not be loaded, or did not give usable vectors."""


class ClusterError(CitedQAError):
    """A Ray cluster does not answer, or did not do what it was asked for."""


class IndexBusyError(CitedQAError):
    """Another process holds the writer's lock."""


class IndexUnusableError(CitedQAError):
    """There is no index that could answer."""


class IndexMissingError(IndexUnusableError):
    """Nothing has been indexed at this place yet."""


class IndexMismatchError(IndexUnusableError):
    """The index was made by another model, segmenter or format than the one configured."""


class IndexDamagedError(IndexUnusableError):
    """The index's files are broken beyond what can be derived again."""
