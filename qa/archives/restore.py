"""`qa restore`: a backup put back in place, also under a server that answers meanwhile.

Everything is checked before anything is changed. What is restored is then laid down beside what is there, moved into
place, and the index switched to last; until then readers have the old one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from index.errors import CitedQAError, ConfigError, ReadError
from index.store.snapshot import MovedFolder, adopting
from index.text.segmenter import PLAIN, Segmenter, read_dictionary
from qa.archives.backup import shown_folder
from qa.archives.manifest import NAME, Header, ManifestEntry, check_store, dump, entries, opened, portable, read_values
from qa.configuration.config import DEFAULT_FILE, Config, load_config
from qa.editing.staging import RESTORE, Staging, draft_beside, sweep_restores
from qa.engine import Engine

_CHUNK_BYTES = 1 << 20
# Left free on the disk beside what the backup unpacks to; what is derived from it needs about this part of it again.
_DERIVED_SHARE = 0.5
_SHOWN = 3


@dataclass(slots=True)
class RestoreReport:
    """What was put back, how many files were there already, and why the index can't be used as it is configured."""

    header: Header
    config: Config
    generation: int = 0
    documents: int = 0
    present: int = 0
    remark: str = ""

    def lines(self) -> Iterator[str]:
        """For people."""
        held = self.header
        yield (
            f"restored the backup of {held.made_at}: {held.documents} documents, {held.passages} passages, "
            f"now generation {self.generation}; {self.documents} files of documents put back, {self.present} were there"
        )
        if self.header.with_documents:
            yield "run qa index to take up what changed while the backup was made"
        if self.remark:
            yield f"but questions can't be answered yet: {self.remark}"


def restore(
    file: Path, config_file: Path | None = None, *, force: bool = False, environment: bool = True
) -> RestoreReport:
    """Put the backup `file` in place of what `config_file` (./config.yaml) describes, or make all of it where none is.

    A configuration that is there counts, and is kept: it says where this machine has its folders. Documents, the
    dictionary and the synonyms are added; those that are there and differ are replaced with `force` only. Documents
    that the backup does not hold stay. `environment` lets QA_... variables count, as everywhere.

    Raises:
        ReadError: the file is no usable backup; nothing has been changed.
        ConfigError: it does not fit what is here; nothing has been changed.
        IndexBusyError: another process is writing the index.
    """
    target = (config_file or DEFAULT_FILE).absolute()
    with _readable(file), opened(file) as (archive, header), ExitStack() as cleaning:
        _check_room(archive, target, file)
        _verify(file, archive)
        made = None if target.exists() else _first_config(archive, header, target, cleaning)
        report = RestoreReport(header, load_config(made or target, environment=environment))
        check_store(report.config)
        sweep_restores(report.config)
        if made:
            _check_inside(report.config)
        plan = _plan(archive, report, force)
        staged = _stage(archive, plan, report.config, cleaning)
        try:
            _adopt(plan, staged, report, (made, target) if made else None)
        except ReadError as exc:
            raise ReadError(f"{file}: {exc}; take another backup, or unzip its documents and run qa index") from exc
        report.config = load_config(target, environment=environment)
    try:
        _ = Engine(report.config).store
    except CitedQAError as exc:
        report.remark = str(exc)
    return report


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """What the zip library raises of a damaged archive, as one error."""
    try:
        yield
    except (zlib.error, EOFError, RuntimeError, NotImplementedError, UnicodeDecodeError) as exc:
        raise ReadError(f"{file}: is damaged ({exc}); take another backup") from exc
    except OSError as exc:
        place = f"{exc.filename}: " if exc.filename else ""
        raise ReadError(
            f"{file}: could not be restored ({place}{exc.strerror}); look at space and permissions"
        ) from exc


def _verify(file: Path, archive: zipfile.ZipFile) -> None:
    """Raise ReadError unless the archive holds exactly what its manifest says, to the last byte."""
    names: set[str] = set()
    for entry in entries(archive):
        try:
            member = archive.getinfo(entry.name)
        except KeyError as exc:
            raise ReadError(f"{file}: lacks {entry.name}; take another backup") from exc
        digest = hashlib.sha256()
        for chunk in _chunks(archive, entry, file):
            digest.update(chunk)
        if digest.hexdigest() != entry.sha256 or member.file_size != entry.size:
            raise ReadError(f"{file}: {entry.name} is not what was backed up; take another backup")
        names.add(entry.name)
    if sorted(archive.namelist()) != sorted(names | {NAME}) or "index.sqlite" not in names:
        raise ReadError(f"{file}: holds other files than its manifest names; take another backup")


def _chunks(archive: zipfile.ZipFile, entry: ManifestEntry, file: Path) -> Iterator[bytes]:
    """A member's content, which ends in an error where it is longer than the manifest says."""
    size = 0
    with archive.open(entry.name) as source:
        while chunk := source.read(_CHUNK_BYTES):
            size += len(chunk)
            if size > entry.size:
                raise ReadError(f"{file}: {entry.name} is larger than its manifest says; take another backup")
            yield chunk


def _first_config(archive: zipfile.ZipFile, header: Header, target: Path, cleaning: ExitStack) -> Path:
    """The configuration for a place that has none, beside it for now: the backup's, with every folder beside it."""
    if not target.parent.is_dir():
        raise ConfigError(f"{target.parent}: no such folder; make it first")
    text = archive.read("config.yaml") if "config.yaml" in archive.namelist() else b""
    values = read_values(text)
    plain = portable(values, header)
    made = draft_beside(_workplace(target.parent, cleaning))
    cleaning.callback(made.unlink, missing_ok=True)
    made.write_bytes(text if text and plain == values else dump(plain))
    made.chmod(0o600)  # it may hold keys
    return made


def _check_inside(config: Config) -> None:
    """Raise ConfigError when a backup's own configuration would put files elsewhere on this machine."""
    places = [*config.corpus_folders.values(), config.index_dir, config.dictionary_file, config.synonyms_file]
    for place in places:
        if place and not place.resolve().is_relative_to(config.base.resolve()):
            raise ConfigError(
                f"{place}: lies outside {config.base}; write a config.yaml there first, and restore again"
            )


def _check_room(archive: zipfile.ZipFile, target: Path, file: Path) -> None:
    # Also keeps a small file that would unpack to terabytes from being read at all.
    needed = int(sum(member.file_size for member in archive.infolist()) * (1 + _DERIVED_SHARE))
    free = shutil.disk_usage(_existing(target.parent)).free
    if needed > free:
        raise ConfigError(f"{file}: needs about {needed >> 20} MB here, but {free >> 20} MB are free; make room")


def _existing(folder: Path) -> Path:
    """The nearest folder up the tree that is there."""
    return next(place for place in (folder, *folder.parents) if place.is_dir())


def _plan(archive: zipfile.ZipFile, report: RestoreReport, force: bool) -> list[tuple[ManifestEntry, Path]]:
    """Where each file goes that is not there already.

    Raises:
        ConfigError: something else is there, and `force` is off.
    """
    plan: list[tuple[ManifestEntry, Path]] = []
    differing: list[str] = []
    for entry in entries(archive):
        place = _place(entry, report.config)
        is_there = place is not None and os.path.lexists(place)
        if place is None:
            continue
        if not is_there:
            plan.append((entry, place))
        elif not place.is_file():
            raise ConfigError(f"{place}: is no file, but the backup has one of that name; move it away")
        elif _is_same(place, entry):
            report.present += 1
        else:
            plan.append((entry, place))
            differing.append(str(place))
    if differing and not force:
        more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
        raise ConfigError(f"{', '.join(differing[:_SHOWN])}{more}: differ from the backup; add --force to replace them")
    return plan


def _place(entry: ManifestEntry, config: Config) -> Path | None:
    """Where a file belongs here; None where it has no place.

    Raises:
        ReadError, ConfigError: its place would be another than its role allows.
    """
    if entry.role == "document":
        return _document_place(entry, config)
    places = {
        "index": config.index_dir / "index.sqlite",
        "config": None,
        "dictionary": config.dictionary_file,
        "synonyms": config.synonyms_file,
    }
    return places[entry.role]


def _document_place(entry: ManifestEntry, config: Config) -> Path:
    folder = config.corpus_folders.get(entry.collection)
    if folder is None:
        raise ConfigError(f"corpus: has no collection {entry.collection!r} as the backup has; add it in config.yaml")
    place = folder / entry.path
    if place == folder:
        raise ReadError(f"the backup's {entry.name} has no place here; take another backup")
    if place.is_symlink() or not place.parent.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(f"{place}: is a link, or lies behind one that leads out of the corpus; remove it")
    return place


def _is_same(file: Path, entry: ManifestEntry) -> bool:
    if file.stat().st_size != entry.size:
        return False
    with file.open("rb") as opened_file:
        return hashlib.file_digest(opened_file, "sha256").hexdigest() == entry.sha256


def _stage(
    archive: zipfile.ZipFile, plan: list[tuple[ManifestEntry, Path]], config: Config, cleaning: ExitStack
) -> list[Path]:
    """Unpack each file to where a rename can put it in place."""
    folders: dict[Path, Path] = {}
    staged: list[Path] = []
    for entry, place in plan:
        anchor = _existing(config.corpus_folders[entry.collection] if entry.collection else place.parent)
        if anchor not in folders:
            folders[anchor] = _workplace(anchor, cleaning)
        made = folders[anchor] / str(len(staged))
        with made.open("wb") as target:
            for chunk in _chunks(archive, entry, made):
                target.write(chunk)
        os.utime(made, ns=(entry.mtime_ns, entry.mtime_ns))
        staged.append(made)
    return staged


def _workplace(folder: Path, cleaning: ExitStack) -> Path:
    """A hidden folder for what is on its way, which indexing passes over."""
    staging = Staging(folder, RESTORE)
    cleaning.callback(staging.close)
    return staging.folder


def _adopt(
    plan: list[tuple[ManifestEntry, Path]], staged: list[Path], report: RestoreReport, first: tuple[Path, Path] | None
) -> None:
    """Derive what is to be derived, move everything into place, switch the index."""
    config, collections = report.config, report.header.collections
    by_role = {entry.role: made for (entry, _), made in zip(plan, staged, strict=True)}
    words = by_role.get("dictionary", config.dictionary_file)
    shown = {name: shown_folder(folder, config.base) for name, folder in config.corpus_folders.items()}
    moved = {
        name: MovedFolder(collections[name].shown, after)
        for name, after in shown.items()
        if name in collections and collections[name].shown != after
    }
    segmenter = Segmenter(read_dictionary(words)) if words else PLAIN
    with adopting(config.index_dir, by_role["index"], segmenter, moved) as store:
        for (entry, place), made in zip(plan, staged, strict=True):
            if entry.role != "index":
                place.parent.mkdir(parents=True, exist_ok=True)
                os.replace(made, place)
                report.documents += entry.role == "document"
        if first:
            os.replace(*first)
        report.generation = store.generation
