"""What the server writes on stderr: one line an event, as JSON for machines or as text for a terminal."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from qa.configuration.settings import ServerConfig

_access = logging.getLogger("qa.access")
_MAX_PATH_CHARS = 200


def configure(server: ServerConfig) -> None:
    """Write the logs of this process on stderr, in the configured format."""
    is_text = server.log_format == "text" or (server.log_format is None and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextLine() if is_text else JsonLine())
    logging.basicConfig(handlers=[handler], force=True)
    logging.getLogger("qa").setLevel(logging.INFO)


def announce(line: str) -> None:
    """Write a line for people and scripts, in no format but its own."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def one_line(text: str) -> str:
    """The text with all that could end a line or steer a terminal escaped as in JSON."""
    return text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


class JsonLine(logging.Formatter):
    """A JSON object a line: time, level, message, what the request was, and the traceback of an error."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        # Once more: JSON leaves line separators of Unicode as they are.
        return one_line(json.dumps(line, ensure_ascii=False))


class TextLine(logging.Formatter):
    """`LEVEL: message`, and below it the traceback of an error, indented."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{record.levelname}: {one_line(record.getMessage())}"
        if not record.exc_info:
            return line
        trace = self.formatException(record.exc_info).splitlines()
        return "\n".join([line, *(f"    {one_line(part)}" for part in trace)])
