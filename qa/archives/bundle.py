"""`qa bundle`: index, documents, model, settings and this package in one place that needs no network.

It is a backup that is restored into the bundle's own folder, so that it is at once complete and checked.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from index.encoder import BUNDLED
from index.errors import ConfigError, ReadError
from qa.archives.backup import backup
from qa.archives.manifest import Header, check_store, dump, portable
from qa.archives.restore import restore
from qa.archives.wheel import build_wheel
from qa.configuration.config import Config
from qa.schemas import EXAMPLE_QUESTION

_ARCHIVES = {".zip": "zip", ".tar.gz": "gztar", ".tgz": "gztar"}
_README = """\
cited-qa {version}: documents, their index, the model and the program. Nothing here needs a network.
The machine that runs it needs Python {python}.

{install}
    venv/bin/qa index
    venv/bin/qa ask "{question}"
    venv/bin/qa serve

Run the commands in this folder; `qa index` notes that copying gave the documents other dates.
API keys are not in it: set QA_SERVER_API_KEYS before you serve others.

本目录含文档、索引、模型和程序,无需联网。需要 Python {python}。
在本目录中运行上面的命令;复制会改变文档的日期,qa index 会记下。
其中不含 API 密钥:对外提供服务前请设置 QA_SERVER_API_KEYS。
"""
_INSTALL = """\
    python3 -m venv venv
    venv/bin/pip install --no-index --find-links wheels cited-qa
"""
_INSTALL_ALONE = """\
The packages that it builds on are not in here: give the environment `venv` those of cited-qa {version} first.

    venv/bin/pip install --no-index --no-deps wheels/{wheel}
"""


@dataclass(frozen=True, slots=True)
class BundleReport:
    """What was made; `note` says what the bundle still needs."""

    target: Path
    header: Header
    size: int
    note: str = ""

    def lines(self) -> Iterator[str]:
        """For people."""
        held = self.header
        yield f"{self.target}: {held.documents} documents, {held.passages} passages, {self.size / 1e6:.1f} MB"
        if self.note:
            yield f"note: {self.note}"


def bundle(config: Config, target: Path, *, wheels: bool = False) -> BundleReport:
    """Make an offline bundle: a folder, or an archive when the name ends in .zip, .tar.gz or .tgz.

    `wheels` also fetches the packages that this one needs, in the versions that are installed here.

    Raises:
        ConfigError: `target` can't be used.
        IndexMissingError: there is no index yet.
        EncoderError, ReadError: the model, a file or a package can't be had.
    """
    check_store(config)
    target = target.absolute()
    _check_place(target, config)
    kind = next((kind for suffix, kind in _ARCHIVES.items() if target.name.endswith(suffix)), None)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", suffix=".part", dir=target.parent) as made:
            folder = Path(
                made, target.name.removesuffix(".gz").removesuffix(".tar").removesuffix(".tgz").removesuffix(".zip")
            )
            folder.mkdir()
            header = _fill(config, folder, wheels)
            ready = Path(shutil.make_archive(str(Path(made, "archive")), kind, made, folder.name)) if kind else folder
            if target.is_dir():
                target.rmdir()
            os.replace(ready, target)
    except OSError as exc:
        place = exc.filename or target
        raise ReadError(f"{place}: could not be bundled ({exc.strerror}); look at space and permissions") from exc
    sizes = [file.stat().st_size for file in (target.rglob("*") if target.is_dir() else [target]) if file.is_file()]
    return BundleReport(target, header, sum(sizes), _note(config, wheels))


def _check_place(target: Path, config: Config) -> None:
    if not target.parent.is_dir():
        raise ConfigError(f"{target.parent}: no such folder; make it first")
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise ConfigError(f"{target}: is there already; give another name")
    for folder in (*config.corpus_folders.values(), config.index_dir):
        if target.resolve().is_relative_to(folder.resolve()):
            raise ConfigError(f"{target}: lies in {folder}, where it would be indexed or removed; give another folder")


def _note(config: Config, wheels: bool) -> str:
    if config.encoder.base_url:
        return f"it needs the endpoint {config.encoder.base_url}; a model in a folder would need none"
    return "" if wheels else "without the packages that cited-qa needs; add them with --wheels"


def _fill(config: Config, folder: Path, wheels: bool) -> Header:
    file = folder / "backup.zip"
    header = backup(config, file, pack=False).header
    values = portable(plain_settings(config), header)
    for group, model in (("encoder", _encoder_folder(config)), ("reranker", _reranker_folder(config))):
        if model:
            shutil.copytree(model[1], folder / "models" / model[0])
            values[group]["model"] = f"models/{model[0]}"
    (folder / "config.yaml").write_bytes(dump(values))
    restore(file, folder / "config.yaml", environment=False)
    file.unlink()
    (folder / "wheels").mkdir()
    wheel = build_wheel(folder / "wheels")
    if wheels:
        _fetch_wheels(wheel)
    _write_readme(folder, wheel, wheels)
    return header


def plain_settings(config: Config) -> dict[str, Any]:
    """The settings in use that differ from the defaults, without secrets and without further files of this machine."""
    settings = {name: _plain(value) for name, value in config.model_dump(exclude_defaults=True).items()}
    return settings | {"corpus": {name: folder.as_posix() for name, folder in config.corpus.items()}}


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(it) for key, it in value.items() if not isinstance(it, Path) and not _is_secret(it)}
    return value.as_posix() if isinstance(value, Path) else value


def _is_secret(value: object) -> bool:
    if isinstance(value, dict | list | tuple):
        return any(map(_is_secret, value.values() if isinstance(value, dict) else value))
    return isinstance(value, SecretStr)


def _encoder_folder(config: Config) -> tuple[str, Path] | None:
    """The model's own name and folder; None for the bundled one and for endpoints."""
    if config.encoder.model == BUNDLED or config.encoder.base_url:
        return None
    return _model_folder(config.encoder_model)


def _reranker_folder(config: Config) -> tuple[str, Path] | None:
    return _model_folder(config.reranker_model) if config.reranker_model else None


def _model_folder(model: str) -> tuple[str, Path]:
    from index.encoder.transformer import local_folder

    folder = local_folder(model)
    if folder is None:
        raise ConfigError(f"{model}: has not been downloaded yet; ask a question first, which does")
    # Its prompts may go by its name, and the index knows it by that.
    return Path(model).name, folder


def _fetch_wheels(wheel: Path) -> None:
    """Let pip fetch what the wheel needs, in the versions that are installed here, as wheels that need no compiler."""
    pins = wheel.parent / "constraints.txt"
    installed = {package.name: package.version.partition("+")[0] for package in distributions() if package.name}
    pins.write_text("".join(f"{name}=={number}\n" for name, number in sorted(installed.items()) if name != "cited-qa"))
    done = subprocess.run(  # noqa: S603
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--disable-pip-version-check",
            "--wheel-dir",
            wheel.parent,
            "--constraint",
            pins,
            wheel,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    pins.unlink()
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise ReadError(f"wheels: pip could not fetch them ({reason}); connect a network, or leave out --wheels")


def _write_readme(folder: Path, wheel: Path, wheels: bool) -> None:
    install = _INSTALL if wheels else _INSTALL_ALONE.format(version=version("cited-qa"), wheel=wheel.name)
    python = f"{sys.version_info[0]}.{sys.version_info[1]} ({sys.platform})" if wheels else "3.11+"
    (folder / "README.txt").write_text(
        _README.format(version=version("cited-qa"), python=python, install=install, question=EXAMPLE_QUESTION),
        encoding="utf-8",
    )
