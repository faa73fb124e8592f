"""What a backup says of itself: `manifest.jsonl`, one line about the whole and one about each file in it.

And its configuration, made to work wherever its folder is put.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from index.errors import ConfigError, ReadError
from qa.configuration.config import Config

NAME = "manifest.jsonl"
# A line holds one path at most; a longer one is no line of ours.
_LINE_BYTES = 1 << 20

Role = Literal["index", "config", "dictionary", "synonyms", "document"]


def check_store(config: Config) -> None:
    """Raise ConfigError for an index that is not in a folder of this machine."""
    if config.store != "local":
        raise ConfigError(
            f"store: a backup or bundle holds the index of data_dir, and {config.store} keeps this one; back that up"
            " with the server's own tools (milvus-backup), or index again from the documents"
        )


class Collection(BaseModel):
    """A folder of documents: as configured, and as the index shows it in front of their paths."""

    model_config = ConfigDict(extra="forbid")
    folder: str
    shown: str


class Header(BaseModel):
    """The whole: when and by what it was made, what the index was made with and holds."""

    model_config = ConfigDict(extra="forbid")
    format: Literal[1] = 1
    cited_qa: str
    made_at: str
    settings: dict[str, str | int]
    generation: int
    documents: int
    passages: int
    with_documents: bool
    collections: dict[str, Collection]
    data_dir: str
    dictionary: str | None = None
    synonyms: str | None = None


class ManifestEntry(BaseModel):
    """One file: `name` in the archive, and where it belongs by its role; a document's `path` is that in its folder."""

    model_config = ConfigDict(extra="forbid")
    name: str
    role: Role
    size: int = Field(default=0, ge=0)
    sha256: str = Field(default="", pattern="^[0-9a-f]{64}$")
    mtime_ns: int = Field(default=0, ge=0, lt=1 << 63)
    collection: str = ""
    path: str = ""

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        parts = PurePosixPath(path).parts
        if path.startswith("/") or "\\" in path or "\0" in path or ".." in parts:
            raise ValueError("leads out of its folder")
        return path


@contextmanager
def opened(file: Path) -> Iterator[tuple[zipfile.ZipFile, Header]]:
    """A backup and what it says of itself; what the block reads of it that is damaged is a ReadError too.

    Raises:
        ReadError: it can't be read, or is no backup that this version knows.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            try:
                with archive.open(NAME) as manifest:
                    header = Header.model_validate_json(_line(manifest))
            except KeyError as exc:
                raise ReadError(f"{file}: is no backup of cited-qa; give a file that `qa backup` made") from exc
            yield archive, header
    except ValidationError as exc:
        problem = exc.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise ReadError(f"{file}: its manifest can't be used ({where}: {problem['msg']}); take another backup") from exc
    except zipfile.BadZipFile as exc:
        raise ReadError(f"{file}: is damaged, cut short or no backup ({exc}); take another one") from exc
    except FileNotFoundError as exc:
        if exc.filename and Path(exc.filename) != file:
            raise
        raise ReadError(f"{file}: {exc.strerror}; give a file that `qa backup` made") from exc


def entries(archive: zipfile.ZipFile) -> Iterator[ManifestEntry]:
    """What the manifest says of each file, one after the other."""
    with archive.open(NAME) as manifest:
        _line(manifest)
        while line := _line(manifest):
            yield ManifestEntry.model_validate_json(line)


def _line(manifest: IO[bytes]) -> bytes:
    line = manifest.readline(_LINE_BYTES)
    if len(line) == _LINE_BYTES:
        raise zipfile.BadZipFile("its manifest has an endless line")
    return line


def read_values(text: bytes) -> dict[str, Any]:
    """The settings in a configuration file, as they are written there."""
    try:
        values = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise ReadError("config.yaml in the backup is not valid YAML; write one here, and restore again") from exc
    return values if isinstance(values, dict) else {}


def portable(values: dict[str, Any], header: Header) -> dict[str, Any]:
    """Settings with every folder and file inside the configuration's own folder; unchanged where they are already."""
    folders = {name: _inside(it.folder, f"documents/{name}") for name, it in header.collections.items()}
    given = values.get("corpus")
    is_same = (
        isinstance(given, list)
        and given == list(folders.values())
        and all(Path(folder).name == name for name, folder in folders.items())
    )
    plain = {**values, "corpus": given if is_same or given == folders else folders}
    for key, wanted, fallback in (
        ("data_dir", header.data_dir, "data"),
        ("dictionary", header.dictionary, "dictionary.txt"),
        ("synonyms", header.synonyms, "synonyms.txt"),
    ):
        if wanted is not None:
            plain[key] = _inside(wanted, fallback)
        elif key in plain:
            plain[key] = None
    return plain


def _inside(path: str, otherwise: str) -> str:
    parts = Path(path).parts
    return otherwise if Path(path).is_absolute() or ".." in parts or path.startswith("~") else path


def dump(values: dict[str, Any]) -> bytes:
    """Settings as a file."""
    note = "# Written by cited-qa, with every folder beside this file; config.yaml of its source explains the keys.\n"
    return (note + yaml.safe_dump(values, allow_unicode=True, sort_keys=False)).encode()
