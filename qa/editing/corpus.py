"""Where files of the corpus lie and what they may be called; putting them there and taking them away."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path, PurePath

from index.errors import ConfigError, ConflictError, QueryError
from index.indexing.folders import document_id, shown_path
from index.types import DocumentInfo
from qa.configuration.config import Config
from qa.editing.jobs import Step
from qa.editing.staging import make_folders, sync_folder

# What every common file system takes, in bytes.
MAX_NAME_BYTES = 255
MAX_FOLDER_BYTES = 1024
# Control characters, halves of surrogate pairs, line and paragraph ends.
_FORBIDDEN_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
# They make a name look like another one.
_BIDI_CONTROLS = {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}
# Windows gives these to devices, whatever the suffix; a corpus should survive being copied there.
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))}


class Corpus:
    """The folders of the corpus, links in their own paths resolved."""

    def __init__(self, config: Config) -> None:
        self.roots = {name: folder.resolve() for name, folder in config.corpus_folders.items()}
        self._base = config.base
        self._data_dir = config.index_dir.resolve()

    def root(self, collection: str = "") -> Path:
        """The folder of a collection; of the first one where none is named.

        Raises:
            QueryError: there is no such collection.
            ConfigError: its folder is missing.
        """
        name = collection or next(iter(self.roots))
        if name not in self.roots:
            raise QueryError(f"collection: there is no collection {name!r}; there are: {', '.join(self.roots)}")
        if not self.roots[name].is_dir():
            raise ConfigError(f"corpus: {self.roots[name]}: no such folder; correct `corpus` in config.yaml")
        return self.roots[name]

    def place(self, root: Path, folder: str, name: str) -> Path:
        """Where a file of an acceptable name goes.

        Raises:
            QueryError: the folder is not acceptable, or leads through a link.
        """
        parents = check_folder(folder)
        place = root
        for part in parents.parts:
            place = _existing(place, part)
            if place.is_symlink():
                raise QueryError(f"folder: {place.relative_to(root)} is a link; name the folder that it leads to")
            if place.exists() and not place.is_dir():
                raise QueryError(f"folder: {place.relative_to(root)} is a file; choose another folder")
        if place.is_relative_to(self._data_dir):
            raise QueryError("folder: is where the index is kept; choose another one")
        return _existing(place, name)

    def shown(self, path: Path) -> str:
        """A path as users see it."""
        return shown_path(str(path), self._base)

    def id_of(self, path: Path) -> str | None:
        """The id that a file has in the index; None outside the corpus."""
        place = self.place_of(path)
        return document_id(*place) if place else None

    def place_of(self, path: Path) -> tuple[str, str] | None:
        """The collection of a file and its path in that; None outside the corpus."""
        for name, root in self.roots.items():
            if path.is_relative_to(root):
                return name, str(path.relative_to(root)).replace(os.sep, "/")
        return None

    def file_of(self, info: DocumentInfo) -> Path:
        """The file of a document.

        Raises:
            ConflictError: it can't be removed by itself, or not by us; the message says what can be done.
        """
        root = self.roots.get(info.collection)
        if root is None:
            raise ConflictError(
                f"{info.path}: its collection {info.collection!r} is configured no more; POST /v1/index takes it out"
            )
        path = self._base / info.path
        if info.id != info.file:
            archive = next((parent for parent in path.parents if self.id_of(parent) == info.file), path.parent)
            raise ConflictError(f"{info.path}: is part of {self.shown(archive)}; delete that, or send it anew without")
        if self.id_of(path) != info.id:
            raise ConflictError(f"{info.path}: its file can't be named; remove it by hand and POST /v1/index")
        if path.parent.resolve() != path.parent:
            raise ConflictError(f"{info.path}: a folder above it has become a link; remove it by hand")
        return path


def identity(path: Path) -> tuple[int, int, int] | None:
    """What tells a file from another one that comes to its place; None where there is none."""
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def taken(target: Path, cure: str = "send it with replace=true, or under another name") -> ConflictError:
    """What keeps a file from being put where another one is."""
    if target.is_dir():
        return ConflictError(f"{target.name}: is a folder; choose another name")
    return ConflictError(f"{target.name}: is there already; {cure}")


def perform(steps: Sequence[Step]) -> None:
    """Move files into place and away: all, or none when an error is raised. Doing it again changes nothing.

    Raises:
        ConflictError: a file has come to where one was to be put.
        OSError: the disk does not let it be done.
    """
    with ExitStack() as undo:
        for step in steps:
            if step.staged is None:
                _take_away(step)
            else:
                _put(Path(step.staged), Path(step.target), step.identity, undo)
        undo.pop_all()


def _put(staged: Path, target: Path, replaced: tuple[int, int, int] | None, undo: ExitStack) -> None:
    if not os.path.lexists(staged):
        return  # done before a crash
    for folder in make_folders(target.parent):
        undo.callback(_remove_empty, folder)
    old = staged.with_name(f"{staged.name}.old")
    if replaced and (present := identity(target)):
        if present != replaced:
            raise ConflictError(f"{target.name}: was changed while it was to be replaced; look at it and try again")
        old.unlink(missing_ok=True)
        os.link(target, old, follow_symlinks=False)
        undo.callback(os.replace, old, target)
        os.replace(staged, target)
    else:
        try:
            os.link(staged, target, follow_symlinks=False)
        except FileExistsError:
            if identity(target) != identity(staged):
                raise taken(target) from None
        undo.callback(target.unlink)
        staged.unlink()
    sync_folder(target.parent)


def _take_away(step: Step) -> None:
    target = Path(step.target)
    if step.identity and identity(target) == step.identity:
        target.unlink()
        sync_folder(target.parent)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # something else has come into it
        folder.rmdir()


def _existing(folder: Path, name: str) -> Path:
    """`name` in `folder`, spelled as a file system that decomposes accents has it where it does."""
    decomposed = folder / unicodedata.normalize("NFD", name)
    composed = folder / name
    return decomposed if not os.path.lexists(composed) and os.path.lexists(decomposed) else composed


def check_name(name: str, field: str = "file") -> str:
    """The name of one file or folder, in Unicode's composed form (NFC).

    Raises:
        QueryError: it could leave its folder, would be passed over by the indexer, or is no name.
    """
    name = unicodedata.normalize("NFC", name)
    if problem := _name_problem(name):
        raise QueryError(f"{field}: {_quoted(name)} {problem}")
    return name


def check_folder(folder: str) -> PurePath:
    """A folder below a collection's, as in `2024/speeches`; empty for the collection's own.

    Raises:
        QueryError: it is absolute, or a part of it is not acceptable.
    """
    if len(folder.encode("utf-8", "surrogatepass")) > MAX_FOLDER_BYTES:
        raise QueryError(f"folder: is longer than {MAX_FOLDER_BYTES} bytes")
    if folder.startswith("/"):
        raise QueryError(f"folder: {_quoted(folder)} is absolute; give it as it is below the collection's folder")
    parts = folder.removesuffix("/").split("/") if folder else []
    return PurePath(*(check_name(part, "folder") for part in parts))


def _name_problem(name: str) -> str:
    """What is wrong with a name; empty when nothing is."""
    if not name.strip():
        return "is no name; give one"
    if len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        return f"is longer than {MAX_NAME_BYTES} bytes; shorten it"
    if "/" in name or "\\" in name:
        return "holds a slash or backslash; send the name alone, and its folder as `folder`"
    if name.startswith((".", "~$")):
        return "begins with '.' or '~$', which the indexer passes over; rename it"
    if any(unicodedata.category(char) in _FORBIDDEN_CATEGORIES or char in _BIDI_CONTROLS for char in name):
        return "holds a control character or one that is not valid Unicode; rename it"
    if name.endswith((" ", ".")) or name.partition(".")[0].rstrip().upper() in _DEVICES:
        return "is a name that some systems can't keep; rename it"
    return ""


def _quoted(name: str) -> str:
    return repr(name if len(name) <= 60 else f"{name[:60]}…")
