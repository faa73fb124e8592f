"""The folders of the corpus: the files in them, and whether they still are the folders that were indexed."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from index.errors import ConfigError, EmptyCorpusError, IndexUnusableError
from index.parsing import SUFFIXES

ROOTS_FILE = "corpus.json"


@dataclass(frozen=True, slots=True)
class File:
    """A file or folder of the corpus. `relative` is its path in the collection, `shown` the path that users see.

    `reason` is set where it is known, unread, that it will not be read.
    """

    id: str
    collection: str
    relative: str
    path: Path
    shown: str
    reason: str = ""

    @classmethod
    def of(cls, collection: str, relative: str, path: Path, shown: str, reason: str = "") -> File:
        return cls(document_id(collection, relative), collection, relative, path, shown, reason)


def document_id(collection: str, relative: str) -> str:
    """Stable across rebuilds: made of where the document is, never of what it says."""
    return hashlib.sha256(f"{collection}\0{relative}".encode("utf-8", "surrogateescape")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of the corpus, and the folders that can't be listed."""

    files: list[File]
    unreadable: list[Path]


def list_files(
    corpus: Mapping[str, Path], base: Path, only: Sequence[Path], data_dir: Path, may_be_gone: bool
) -> Listing:
    """The files of the corpus, or those that `only` names; see `index.indexing.build.sync`.

    Raises:
        ConfigError: a folder or a path is missing, or a path lies outside the corpus.
    """
    limits = {path.resolve() for path in only}
    for limit in limits:
        if not limit.exists() and not may_be_gone:
            raise ConfigError(f"{limit}: no such file or folder")
        if not any(limit.is_relative_to(folder.resolve()) for folder in corpus.values()):
            raise ConfigError(f"{limit}: lies outside the corpus; add its folder to `corpus` in config.yaml")
    listing = Listing([], [])
    for collection, folder in corpus.items():
        if not folder.is_dir():
            if limits and not any(limit.is_relative_to(folder.resolve()) for limit in limits):
                continue
            raise ConfigError(f"corpus: {folder}: no such folder; correct `corpus` in config.yaml")
        root = folder.resolve()
        for name, reason in _walk(str(root), str(data_dir.resolve()), listing, limits):
            path = Path(name)
            if not is_wanted(path, limits):
                continue
            listing.files.append(File.of(collection, relative_name(name, root), path, shown_path(name, base), reason))
    return listing


def relative_name(name: str, root: Path) -> str:
    """A path in the collection whose folder is `root`, with slashes."""
    return name[len(str(root)) :].lstrip(os.sep).replace(os.sep, "/")


def files_in(folder: Path, data_dir: Path) -> Iterator[tuple[Path, str, str]]:
    """The files of a collection's folder, also those of types that are not read: path, path in the folder, reason.

    The reason says why something can't be copied: a link that leads elsewhere, a folder that can't be listed.
    """
    root = folder.resolve()
    for name, reason in _walk(str(root), str(data_dir.resolve()), Listing([], [])):
        path = Path(name)
        is_file = path.is_file() and path.resolve().is_relative_to(root)
        yield path, relative_name(name, root), "" if is_file else reason or "is no file"


def shown_path(path: str, base: Path) -> str:
    """A path as users see it: relative to `base`, or absolute outside it."""
    shown = path.removeprefix(f"{str(base).rstrip(os.sep)}{os.sep}").replace(os.sep, "/")
    return shown.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _walk(root: str, ours: str, listing: Listing, limits: Set[Path] = frozenset()) -> Iterator[tuple[str, str]]:
    """The files under `root`, folder by folder, each with the reason why it is not read; empty where it is.

    The index itself, in the folder `ours`, is passed over.
    """
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as exc:
            yield folder, f"{exc.strerror}; what was read from it before stays in the index"
            listing.unreadable.append(Path(folder))
            continue
        visible = [entry for entry in entries if not entry.name.startswith((".", "~$")) and entry.path != ours]
        inner = (entry.path for entry in reversed(visible) if entry.is_dir(follow_symlinks=False))
        folders.extend(path for path in inner if _may_hold(path, limits))
        for entry in visible:
            reason = _unread(entry, root)
            if reason or not _is_folder(entry):
                yield entry.path, reason


def _may_hold(folder: str, limits: Set[Path]) -> bool:
    """Whether something that is wanted may lie in a folder."""
    return not limits or any(limit.is_relative_to(folder) or Path(folder).is_relative_to(limit) for limit in limits)


def _unread(entry: os.DirEntry[str], root: str) -> str:
    """Why a file is not read; empty for a folder, and for a file that is."""
    if entry.is_symlink() and not Path(os.path.realpath(entry.path)).is_relative_to(root):
        return "a link out of the corpus; copy the file instead"
    if _is_folder(entry):
        return "a link to a folder; put the folder itself into the corpus" if entry.is_symlink() else ""
    suffix = os.path.splitext(entry.name)[1]
    return "" if suffix.lower() in SUFFIXES else f"files of type {suffix or '(none)'} are not read"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def is_wanted(path: Path, limits: Set[Path]) -> bool:
    """Whether a path is one of `limits` or lies in one; any is when there are none."""
    return not limits or path in limits or not limits.isdisjoint(path.parents)


@dataclass(frozen=True, slots=True)
class Root:
    """A collection's folder as a sync met it: which folder on which disk it is, and how many files could be read."""

    folder: str
    device: int
    inode: int
    files: int

    def is_another_than(self, other: Root) -> bool:
        return (self.device, self.inode) != (other.device, other.inode)


def roots(corpus: Mapping[str, Path], listing: Listing, only: Sequence[Path]) -> dict[str, Root]:
    """The folders that were listed as a whole, by collection."""
    limits = {path.resolve() for path in only}
    counts = Counter(file.collection for file in listing.files if not file.reason)
    whole = {name: folder.resolve() for name, folder in corpus.items() if is_wanted(folder.resolve(), limits)}
    present = ((name, folder, folder.stat()) for name, folder in whole.items() if folder.is_dir())
    return {name: Root(str(folder), stat.st_dev, stat.st_ino, counts[name]) for name, folder, stat in present}


def remembered_roots(data_dir: Path) -> dict[str, Root]:
    """The folders as the syncs before met them; none where that is not known."""
    try:
        stored = json.loads((data_dir / ROOTS_FILE).read_bytes())
        return {name: Root(**root) for name, root in stored.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # without it only a folder that is empty is noticed


def remember_roots(data_dir: Path, met: dict[str, Root]) -> None:
    """Keep the folders as this sync met them, for the next."""
    stored = {name: asdict(root) for name, root in (remembered_roots(data_dir) | met).items()}
    fresh = data_dir / f"{ROOTS_FILE}.new"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)  # where the index is on a server there may be none
        fresh.write_text(json.dumps(stored, ensure_ascii=False, indent=1), encoding="utf-8", errors="surrogateescape")
        os.replace(fresh, data_dir / ROOTS_FILE)
    except OSError as exc:
        reason = exc.strerror or str(exc)
        raise IndexUnusableError(
            f"{fresh}: can't be written ({reason}); look at the disk's space and permissions"
        ) from exc


def check_folders(corpus: Mapping[str, Path], data_dir: Path) -> None:
    """Refuse ahead what `sync` would refuse, as far as the folders alone tell; files are counted only where one may be.

    Raises:
        EmptyCorpusError: as `refuse_vanished`, of the first folder.
    """
    before = remembered_roots(data_dir)
    for name, folder in corpus.items():
        earlier, root = before.get(name), folder.resolve()
        if earlier is None or not root.is_dir():
            continue
        readable = (not reason for _, reason in _walk(str(root), str(data_dir.resolve()), Listing([], [])))
        stat = root.stat()
        met = Root(str(root), stat.st_dev, stat.st_ino, int(any(readable)))
        if met.is_another_than(earlier):
            met = replace(met, files=met.files + sum(readable))
            refuse_vanished(met, earlier, earlier.files, max(0, earlier.files - met.files))
        elif not met.files:
            refuse_vanished(met, earlier, earlier.files, earlier.files)


def refuse_vanished(root: Root, before: Root | None, indexed: int, going: int) -> None:
    """Stop where `going` of a folder's `indexed` files would leave the index because a disk is not mounted.

    Raises:
        EmptyCorpusError: the folder holds nothing any more, or it is another and most of its files are not in it.
    """
    if going and not root.files:
        problem = f"is empty, but {going:,} files in it were indexed"
    elif before and root.is_another_than(before) and 2 * going > indexed:
        problem = f"is another folder or disk than the one indexed, and {going:,} of {indexed:,} files are not in it"
    else:
        return
    raise EmptyCorpusError(
        f"{root.folder}: {problem}; mount or restore it, or, where they are meant to go, run: qa index --allow-empty"
    )
