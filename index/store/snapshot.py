"""Copies of the truth: taken while another process writes, looked at, and put in an index's place.

What is derived from the database is not copied; it is made again where the copy is put to use.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from index.errors import IndexMissingError, ReadError
from index.store import Settings
from index.store.database import FORMAT, Database
from index.store.local import LocalStore, current_folder
from index.store.location import writing
from index.text.segmenter import PLAIN, Segmenter


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a copied database holds; `settings` are those of the index that it was taken from."""

    settings: dict[str, str | int]
    generation: int
    documents: int
    passages: int


def database_file(data_dir: Path) -> Path:
    """The database that readers use now.

    Raises:
        IndexMissingError: there is none, or the first run has not completed it.
    """
    folder = current_folder(data_dir)
    file = folder / "index.sqlite" if folder else None
    if file is None or not file.exists() or not Database(file).meta("complete"):
        raise IndexMissingError(f"{data_dir}: there is no complete index here; run: qa index")
    return file


def copy_database(source: Path, target: Path) -> None:
    """Copy a SQLite file as it is at one moment, whoever writes it meanwhile; `target` is one plain file.

    Raises:
        ReadError: SQLite can't read the one or write the other.
    """
    try:
        with closing(sqlite3.connect(source, timeout=30)) as original, closing(sqlite3.connect(target)) as copy:
            original.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as exc:
        raise ReadError(f"{source}: could not be copied ({exc}); look at the disk's space, and run: qa doctor") from exc


def inspect(file: Path) -> Snapshot:
    """What the copied database `file` holds.

    Raises:
        ReadError: it is damaged, or of another format than this version reads; the message says not what to do.
    """
    try:
        with closing(sqlite3.connect(file)) as connection:
            verdict = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
            meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
            settings = json.loads(meta["settings"])
            # A database of another make could hold triggers; only one with none but our tables is taken.
            is_ours = _tables(connection) <= _own_tables()
    except (sqlite3.Error, KeyError, ValueError) as exc:
        raise ReadError(f"the database is damaged ({exc})") from exc
    if verdict != "ok":
        raise ReadError(f"the database is damaged ({verdict})")
    if settings.get("format") != FORMAT or not is_ours:
        raise ReadError(f"the database has format {settings.get('format')} or tables of another make; {FORMAT} is read")
    with closing(Database(file)) as database:
        return Snapshot(settings, database.generation, *database.counts())


def _tables(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    statements = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {(name, sql) for name, sql in statements if not name.startswith("sqlite_")}


def _own_tables() -> set[tuple[str, str]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(Database.schema)
        return _tables(connection)


@dataclass(frozen=True, slots=True)
class MovedFolder:
    """A collection's folder as users see it, before and after; both end in a slash."""

    before: str
    after: str


@contextmanager
def adopting(
    data_dir: Path, file: Path, segmenter: Segmenter = PLAIN, moved: Mapping[str, MovedFolder] | None = None
) -> Iterator[LocalStore]:
    """Make a copied database the index of `data_dir`: derive the rest, and switch to it when the block ends.

    Readers stay with the index that they have until then, and for good when the block raises.

    Raises:
        ReadError: the copy is not usable.
        IndexBusyError: another process is writing.
    """
    copied = inspect(file)
    settings = Settings(str(copied.settings["encoder"]), segmenter)
    folder: Path | None = None
    try:
        with writing(data_dir, settings, lambda: 0, rebuild=True) as writer:
            folder = writer.folder
            writer.database.close()
            shutil.move(file, writer.database.path)
            writer.database.relocate({name: (it.before, it.after) for name, it in (moved or {}).items()})
            # No generation of this place is used for two states.
            writer.database.advance(max(copied.generation, _generation(data_dir)) + 1)
            yield writer.finish()
    except BaseException:
        if folder and current_folder(data_dir) != folder:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _generation(data_dir: Path) -> int:
    """The present generation; 0 when that can't be told, as from a damaged file."""
    folder = current_folder(data_dir)
    try:
        with closing(sqlite3.connect(f"file:{folder}/index.sqlite?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT generation FROM state").fetchone()[0])
    except (sqlite3.Error, TypeError, ValueError):
        return 0
