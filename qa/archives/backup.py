"""`qa backup`: the truth in one file, as it is at one moment, while others read and write.

Into the archive go the database, the configuration, the dictionary and synonyms, and the documents. Derived files do
not, they are made again where the backup is restored; nor do jobs, whose files are among the documents already.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

from index.errors import ConfigError, IndexDamagedError, ReadError
from index.indexing.folders import files_in, shown_path
from index.store.snapshot import copy_database, database_file, inspect
from qa.archives.manifest import NAME, Collection, Header, ManifestEntry, Role, check_store
from qa.configuration.config import Config

_CHUNK_BYTES = 1 << 20


@dataclass(slots=True)
class BackupReport:
    """What went into a backup; `left_out` says of each document that didn't why."""

    file: Path
    header: Header
    files: int = 0
    size: int = 0
    left_out: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """For people."""
        yield from (f"left out {reason}" for reason in self.left_out)
        held = self.header
        yield (
            f"{self.file}: {held.documents} documents, {held.passages} passages, generation {held.generation}; "
            f"{self.files} files, {self.size / 1e6:.1f} MB"
        )


def backup(
    config: Config, file: Path, *, documents: bool = True, force: bool = False, pack: bool = True
) -> BackupReport:
    """Write a backup to `file`, which is there when it is complete and not before.

    `force` replaces a file that is there; `pack` compresses.

    Raises:
        ConfigError: `file` can't be written where it is.
        IndexMissingError, IndexDamagedError: there is nothing to back up, or it can't be used.
        ReadError: a file can't be read or written.
    """
    check_store(config)
    file = file.absolute()
    _check_place(file, config, force)
    for left in file.parent.glob(f".{file.name}.*.part"):  # of a backup that was killed
        shutil.rmtree(left, ignore_errors=True)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{file.name}.", suffix=".part", dir=file.parent) as folder:
            report = _write(config, file, Path(folder), documents, zipfile.ZIP_DEFLATED if pack else zipfile.ZIP_STORED)
            if file.exists() and not force:
                raise ConfigError(f"{file}: has come into being meanwhile; add --force to replace it")
            os.replace(Path(folder, "archive"), file)
    except OSError as exc:
        raise ReadError(
            f"{file}: could not be written ({exc.strerror}); look at the disk's space and permissions"
        ) from exc
    report.size = file.stat().st_size
    return report


def _check_place(file: Path, config: Config, force: bool) -> None:
    if not file.parent.is_dir():
        raise ConfigError(f"{file.parent}: no such folder; make it first")
    if file.is_dir() or (file.exists() and not force):
        raise ConfigError(f"{file}: is there already; give another name, or --force to replace it")
    for folder in (*config.corpus_folders.values(), config.index_dir):
        if file.resolve().is_relative_to(folder.resolve()):
            raise ConfigError(f"{file}: lies in {folder}, where it would be indexed or removed; give another folder")


def _write(config: Config, file: Path, folder: Path, documents: bool, compression: int) -> BackupReport:
    """Write `folder/archive`; the snapshots lie beside it meanwhile."""
    snapshot = folder / "index.sqlite"
    copy_database(database_file(config.index_dir), snapshot)
    report = BackupReport(file, _header(config, snapshot, documents))
    made = os.open(folder / "archive", os.O_WRONLY | os.O_CREAT, 0o600)  # the configuration may hold keys
    with os.fdopen(made, "wb") as target, (folder / NAME).open("wb") as manifest:
        with zipfile.ZipFile(target, "w", compression) as archive:
            manifest.write(report.header.model_dump_json().encode() + b"\n")
            for source, entry in _sources(config, folder, report, documents):
                try:
                    original = source.open("rb")
                except OSError as exc:
                    if entry.role != "document":
                        raise
                    report.left_out.append(f"{source}: {exc.strerror}")
                    continue
                with original:
                    taken = _add(archive, original, entry)
                manifest.write(taken.model_dump_json().encode() + b"\n")
                report.files += 1
            manifest.flush()
            archive.write(folder / NAME, NAME)
        target.flush()
        os.fsync(target.fileno())
    return report


def _header(config: Config, snapshot: Path, documents: bool) -> Header:
    try:
        held = inspect(snapshot)
    except ReadError as exc:
        raise IndexDamagedError(f"{config.index_dir}: {exc}; run: qa index --rebuild") from exc
    return Header(
        cited_qa=version("cited-qa"),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        settings=held.settings,
        generation=held.generation,
        documents=held.documents,
        passages=held.passages,
        with_documents=documents,
        collections={
            name: Collection(folder=config.corpus[name].as_posix(), shown=shown_folder(folder, config.base))
            for name, folder in config.corpus_folders.items()
        },
        data_dir=config.data_dir.as_posix(),
        dictionary=config.dictionary.as_posix() if config.dictionary else None,
        synonyms=config.synonyms.as_posix() if config.synonyms else None,
    )


def shown_folder(folder: Path, base: Path) -> str:
    """A collection's folder as it stands in front of the paths that the index shows."""
    return shown_path(str(folder.resolve()) + "/", base)


def _sources(
    config: Config, folder: Path, report: BackupReport, documents: bool
) -> Iterator[tuple[Path, ManifestEntry]]:
    """What goes in, with entries that lack their size and sum."""
    yield folder / "index.sqlite", _entry("index.sqlite", "index")
    single: list[tuple[Role, Path | None]] = [
        ("config", config.file),
        ("dictionary", config.dictionary_file),
        ("synonyms", config.synonyms_file),
    ]
    for role, source in single:
        if source:
            yield source, _entry(f"{role}/{source.name}" if role != "config" else "config.yaml", role, path=source.name)
    if documents:
        yield from _documents(config, report)


def _documents(config: Config, report: BackupReport) -> Iterator[tuple[Path, ManifestEntry]]:
    for number, (name, folder) in enumerate(config.corpus_folders.items(), start=1):
        plain = re.sub(r"[^\w-]", "_", name)
        if not folder.is_dir():
            report.left_out.append(f"{folder}: is not there")
            continue
        for source, relative, reason in files_in(folder, config.index_dir):
            if not reason and any("\ud800" <= char <= "\udfff" for char in relative):
                reason = "its name is not UTF-8; rename it"
            if reason:
                report.left_out.append(f"{shown_path(str(source), config.base)}: {reason}")
            else:
                yield (
                    source,
                    _entry(f"documents/{number}-{plain}/{relative}", "document", collection=name, path=relative),
                )


def _entry(name: str, role: Role, *, collection: str = "", path: str = "") -> ManifestEntry:
    return ManifestEntry(name=name, role=role, collection=collection, path=path)


def _add(archive: zipfile.ZipFile, source: BinaryIO, entry: ManifestEntry) -> ManifestEntry:
    """Stream a file into the archive; gives the entry with what was really copied."""
    digest = hashlib.sha256()
    size = 0
    mtime_ns = os.fstat(source.fileno()).st_mtime_ns
    info = zipfile.ZipInfo(entry.name)
    info.compress_type = archive.compression
    info.external_attr = 0o600 << 16
    with archive.open(info, "w", force_zip64=True) as target:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            target.write(chunk)
    return entry.model_copy(update={"size": size, "sha256": digest.hexdigest(), "mtime_ns": mtime_ns})
