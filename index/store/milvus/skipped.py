"""What could not be read, file by file, among an index's notes."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import astuple

from index.store.milvus.codes import MAX_BYTES
from index.store.milvus.connection import Row, Table, literal
from index.types import Skipped

_KEY = "skipped/"


def skipped_in(notes: Table, file: str | None = None) -> list[Skipped]:
    """What could not be read of a file, or of all, by path."""
    expression = f"key like {literal(_KEY + (file or '') + '%')}"
    parts = sorted(notes.read_all(expression), key=lambda row: str(row["key"]))
    texts: dict[str, str] = {}
    for row in parts:
        of_file = row["key"].removeprefix(_KEY).rpartition("/")[0]
        texts[of_file] = texts.get(of_file, "") + row["value"]
    found = [skipped for of_file, text in texts.items() if file in (None, of_file) for skipped in _unpacked(text)]
    return sorted(found, key=lambda skipped: (skipped.path, skipped.reason))


def note_skipped(notes: Table, file: str, skipped: Sequence[Skipped]) -> None:
    """Put what could not be read of a file in the place of what was noted before."""
    fresh = list(_rows(file, skipped))
    before = notes.read(f"key like {literal(f'{_KEY}{file}/%')}", ["key"])
    notes.delete("key", {str(row["key"]) for row in before} - {str(row["key"]) for row in fresh})
    notes.write(fresh, replace=True)


def _rows(file: str, skipped: Sequence[Skipped]) -> Iterator[Row]:
    if not skipped:
        return
    text = base64.b64encode(zlib.compress(json.dumps([astuple(item) for item in skipped]).encode())).decode()
    for number, start in enumerate(range(0, len(text), MAX_BYTES)):
        yield {"key": f"{_KEY}{file}/{number:06}", "value": text[start : start + MAX_BYTES]}


def _unpacked(text: str) -> list[Skipped]:
    return [Skipped(*values) for values in json.loads(zlib.decompress(base64.b64decode(text)))]
