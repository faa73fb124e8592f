"""An offline bundle: unpacked elsewhere, it answers without a network and without this machine's settings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from index.errors import ConfigError, IndexMissingError
from qa.archives.bundle import bundle
from qa.archives.wheel import build_wheel
from qa.configuration.config import Config, load_config
from qa.engine import Engine
from tests.conftest import CANONICAL
from tests.index.models import MINILM
from tests.qa.commands import run_qa
from tests.qa.servers import make_corpus


def alone(folder: Path, tmp_path: Path, *arguments: str) -> str:
    """What the program in a bundle's wheel says, with no environment, and no network where the system lets us."""
    program = tmp_path / "program"
    with zipfile.ZipFile(next(folder.glob("wheels/cited_qa-*.whl"))) as wheel:
        wheel.extractall(program)
    can_unshare = subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode == 0
    places = [str(program), *(place for place in sys.path if place.endswith("site-packages"))]
    script = f"import qa; assert qa.__file__.startswith({str(program)!r}); from qa.cli.main import main; main()"
    done = subprocess.run(
        [
            *(["unshare", "--net"] if can_unshare else []),
            "env",
            "-i",
            f"PYTHONPATH={os.pathsep.join(places)}",
            sys.executable,
            "-c",
            script,
            *arguments,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def readme(folder: Path) -> list[str]:
    return (folder / "README.txt").read_text(encoding="utf-8").splitlines()


def test_it_answers_elsewhere_without_a_network(seeds_config: Config, tmp_path: Path) -> None:
    done = run_qa(
        "bundle",
        tmp_path / "made.tar.gz",
        folder=seeds_config.base,
        QA_DATA_DIR=str(seeds_config.index_dir),
        QA_ENCODER_API_KEY="sk-secret",
        QA_SERVER_PORT="8123",
        QA_SERVER_API_KEYS=f"me:admin:sk-secret{'x' * 30}",
    )
    assert done.returncode == 0, done.stderr
    assert "6 documents" in done.stderr and "add them with --wheels" in done.stderr
    shutil.unpack_archive(tmp_path / "made.tar.gz", tmp_path / "elsewhere", filter="data")
    folder = tmp_path / "elsewhere" / "made"
    assert {path.name for path in folder.iterdir()} == {"README.txt", "config.yaml", "data", "seeds", "notes", "wheels"}
    settings = (folder / "config.yaml").read_text(encoding="utf-8")
    assert "sk-secret" not in settings and yaml.safe_load(settings)["server"] == {"port": 8123}
    commands = [line.split("qa ", 1)[1] for line in readme(folder) if " venv/bin/qa " in line]
    assert commands == ["index", f'ask "{CANONICAL}"', "serve"]
    alone(folder, tmp_path, "index")
    found = json.loads(alone(folder, tmp_path, "ask", CANONICAL, "--json"))
    assert found["answer"]["value"] == "1097名"
    assert not found["citations"][0]["stale"]


@pytest.mark.slow
def test_a_model_comes_along_under_its_own_name(tmp_path: Path) -> None:
    make_corpus(tmp_path / "here", "notes")
    shutil.copytree(MINILM, tmp_path / "models" / "all-MiniLM-L6-v2")
    (tmp_path / "here/notes/a.txt").write_text("The reading room holds 4321 books.\n")
    file = tmp_path / "here/config.yaml"
    file.write_text(f"corpus: [notes]\nencoder:\n  model: {tmp_path}/models/all-MiniLM-L6-v2\n")
    config = load_config(file)
    Engine(config).index()
    report = bundle(config, tmp_path / "made")
    shutil.rmtree(tmp_path / "models")
    moved = tmp_path / "moved"
    (tmp_path / "made").rename(moved)
    assert yaml.safe_load((moved / "config.yaml").read_text())["encoder"]["model"] == "models/all-MiniLM-L6-v2"
    assert report.header.settings["encoder"].startswith("all-MiniLM-L6-v2:")
    found = Engine.open(moved / "config.yaml").ask("How many books are in the reading room?")
    assert found.answer is not None and found.answer.value == "4321"


def test_the_wheel_is_one_that_pip_installs(tmp_path: Path) -> None:
    made = build_wheel(tmp_path)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-index",
        "--no-deps",
        "--target",
        str(tmp_path / "in"),
        str(made),
    ]
    done = subprocess.run(pip, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "in/index/bundled").is_dir() and (tmp_path / "in/bin/qa").is_file()


def test_where_it_cannot_be_put(seeds_config: Config, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    for target, words in (
        (tmp_path / "full", "is there already"),
        (seeds_config.base / "seeds" / "made", "where it would be indexed"),
        (tmp_path / "no" / "made", "no such folder"),
    ):
        with pytest.raises(ConfigError, match=words):
            bundle(seeds_config, target)
    with pytest.raises(IndexMissingError):
        bundle(make_corpus(tmp_path / "fresh", "notes"), tmp_path / "made")
    assert not (tmp_path / "made").exists() and not list(tmp_path.glob(".made*"))
