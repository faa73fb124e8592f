"""Indexes and backups that exist go on being read: what is stored looks as `format-4.json` says it did.

The file was taken from an index of 2026-11-21. Who changes the tables raises `FORMAT`, writes the new one, and says in
the changelog that indexes are made again.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from index.dedup.clusters import Clusters
from index.store.database import FORMAT, Database
from index.store.lexical import LexicalIndex
from index.store.vectors import Stamp

STORED = json.loads((Path(__file__).parent / f"format-{FORMAT}.json").read_text(encoding="utf-8"))


def tables(schema: str) -> list[str]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(schema)
        statements = connection.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY name"
        )
        return [sql for (sql,) in statements]


def test_tables_are_those_that_were_stored() -> None:
    assert tables(Database.schema) == STORED["index.sqlite"]
    assert tables(Clusters.schema) == STORED["clusters.sqlite"]


def test_derived_files_are_those_that_were_stored(tmp_path: Path) -> None:
    LexicalIndex(tmp_path / "words")
    assert json.loads((tmp_path / "words" / "meta.json").read_text())["schema"] == STORED["tantivy"]
    assert sorted(Stamp.__dataclass_fields__) == STORED["vectors.json"]
