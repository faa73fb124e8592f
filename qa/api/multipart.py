"""multipart/form-data as it comes, chunk by chunk, into an upload."""

from __future__ import annotations

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from index.errors import FileTypeError, QueryError
from qa.editing.editor import Upload

FIELDS = ("collection", "folder", "replace")
MAX_FILES = 200
_MAX_FIELD_BYTES = 4096
_MAX_FIELDS = 20
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False, "": False}


class Form:
    """Feeds files to `upload` as they come, and sets its fields.

    Raises:
        QueryError, FileTypeError: from any method; what was sent is no such form, or not acceptable.
        ConfigError, DiskError: a file can't be written.
    """

    def __init__(self, content_type: str, upload: Upload) -> None:
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data":
            raise FileTypeError("Content-Type: must be multipart/form-data, with each file in a part named `file`")
        if not options.get(b"boundary"):
            raise QueryError("Content-Type: names no boundary; let your HTTP library set it")
        self._upload = upload
        self._files = self._fields = 0
        self._is_complete = False
        try:
            self._parser = MultipartParser(
                options[b"boundary"],
                {
                    "on_part_begin": self._begin,
                    "on_part_data": self._data,
                    "on_part_end": self._end,
                    "on_header_field": self._header_field,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_finished,
                    "on_end": self._finished,
                },
            )
        except FormParserError as exc:
            raise _malformed(exc) from exc

    def feed(self, data: bytes) -> None:
        """The next bytes of the body."""
        try:
            self._parser.write(data)
        except FormParserError as exc:
            raise _malformed(exc) from exc

    def finish(self) -> None:
        """There are no more."""
        if not self._is_complete:
            raise QueryError("body: ends before its last boundary; send it again")

    def _begin(self) -> None:
        self._name, self._value = bytearray(), bytearray()
        self._headers: dict[bytes, bytes] = {}

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name, self._value = bytearray(), bytearray()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = _text(options.get(b"name", b""), "body")
        self._field = name if b"filename" not in options else ""
        self._value = bytearray()
        if self._field:
            if self._field == "file":
                raise QueryError("file: has no filename; send it as a file")
            if self._field not in FIELDS:
                raise QueryError(f"{self._field[:80]}: is not a known field; known are file, {', '.join(FIELDS)}")
            self._fields += 1
            if self._fields > _MAX_FIELDS:
                raise QueryError(f"{self._field}: more than {_MAX_FIELDS} fields are sent; send each once")
            return
        if name != "file":
            raise QueryError(f"{name[:80] or 'body'}: is not a known file field; name the part `file`")
        self._files += 1
        if self._files > MAX_FILES:
            raise QueryError(f"file: more than {MAX_FILES} are sent at once; send the rest in another request")
        self._upload.begin(_text(options[b"filename"], "file"))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if not self._field:
            self._upload.write(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > _MAX_FIELD_BYTES:
            raise QueryError(f"{self._field}: is longer than {_MAX_FIELD_BYTES} bytes")

    def _end(self) -> None:
        if not self._field:
            self._upload.end()
            return
        value = _text(bytes(self._value), self._field)
        if self._field == "replace":
            if value.lower() not in _BOOLEANS:
                raise QueryError(f"replace: must be true or false, not {value[:40]!r}")
            self._upload.replace = _BOOLEANS[value.lower()]
        elif self._field == "folder":
            self._upload.folder = value
        else:
            self._upload.collection = value

    def _finished(self) -> None:
        self._is_complete = True


def _text(value: bytes, field: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as exc:
        raise QueryError(f"{field}: is not UTF-8; send names and fields in UTF-8") from exc


def _malformed(error: Exception) -> QueryError:
    return QueryError(f"body: is not valid multipart/form-data: {error}; let your HTTP library make it")
