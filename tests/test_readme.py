"""What the READMEs promise is there: commands, options, settings, routes, rooms, links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
import yaml

from qa.cli.main import app
from qa.configuration.config import Config, _variable_names, load_config
from qa.serving.app import create_app
from tests.conftest import CANONICAL, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
READMES = {"en": README, "zh": (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")}
COMMANDS = typer.main.get_command(app)


@pytest.fixture(params=READMES)
def readme(request: pytest.FixtureRequest) -> str:
    return READMES[request.param]


def shell_lines(readme: str) -> list[str]:
    return [line for block in re.findall(r"```sh\n(.*?)```", readme, re.DOTALL) for line in block.splitlines()]


def test_both_languages_have_the_same_commands_tables_and_code() -> None:
    assert shell_lines(READMES["en"]) == shell_lines(READMES["zh"])
    for pattern in (r"^\| `([^`]+)`", r"`(--[a-z-]+)", r"`(QA_[A-Z_]+)`", r"^(## )", r"`(/[a-z/{}0-9]*)`"):
        english, chinese = (re.findall(pattern, text, re.MULTILINE) for text in READMES.values())
        assert english == chinese


def test_ci_runs_the_two_commands_as_written(readme: str) -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    install_and_ask, install_and_test = shell_lines(readme)[:2]
    assert CANONICAL in install_and_ask
    assert install_and_ask in script
    assert install_and_test in script


def test_commands_and_options_exist(readme: str) -> None:
    assert isinstance(COMMANDS, typer.core.TyperGroup)
    described = re.findall(r"^\| `qa ([\w-]+)[^`]*` \|(.*)\|$", readme, re.MULTILINE)
    assert {name for name, _ in described} == set(COMMANDS.commands)
    for name, text in described:
        options = {
            option
            for parameter in COMMANDS.commands[name].params
            for option in [*parameter.opts, *parameter.secondary_opts]
        }
        assert "--config" in options
        assert set(re.findall(r"--[a-z-]+", text)) == {o for o in options if o.startswith("--")} - {"--config"}


def test_settings_are_all_described_in_chinese() -> None:
    text = (ROOT / "docs" / "settings.zh-CN.md").read_text(encoding="utf-8")
    described = dict(re.findall(r"^\| `([a-z_.]+)` \| `QA_([A-Z_]+)` \|", text, re.MULTILINE))
    assert all(key.replace(".", "_").upper() == variable for key, variable in described.items())
    groups = {name.upper() for name, field in Config.model_fields.items() if hasattr(field.annotation, "model_fields")}
    assert set(described.values()) == set(_variable_names()) - groups


def test_settings_that_are_named_exist(readme: str) -> None:
    assert set(re.findall(r"QA_[A-Z_]+", readme)) <= {f"QA_{name}" for name in _variable_names()}
    settings = {
        f"{name}.{key}"
        for name, field in Config.model_fields.items()
        for key in getattr(field.annotation, "model_fields", ())
    }
    assert set(re.findall(r"`((?:encoder|llm|reranker|server|bots)\.[a-z_]+)`", readme)) <= settings


def test_config_yaml_holds_every_default() -> None:
    written = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    assert load_config(ROOT / "config.yaml").model_dump() == Config().model_dump()
    assert set(written) == set(Config.model_fields)
    for name, field in Config.model_fields.items():
        inner = getattr(field.annotation, "model_fields", {})
        assert not inner or set(written[name]) == set(inner)


def test_routes_exist(readme: str) -> None:
    paths = set(create_app(Config()).openapi()["paths"])
    named = set(re.findall(r"(?:GET|POST|DELETE) (/[a-z0-9/{}-]+)", readme))
    assert named == {re.sub(r"\{\w+_id\}", "{id}", path) for path in paths} - {"/v1/models/{model}"}


def test_rooms_and_links_exist(readme: str) -> None:
    for room in re.findall(r"^\| `([a-z]+)/` \|", readme, re.MULTILINE):
        assert (ROOT / room).is_dir()
    for link in re.findall(r"\]\(([^)#]+)\)", readme):
        assert (ROOT / link).exists(), link


def test_the_python_example_works(readme: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    (tmp_path / "config.yaml").write_text(f"corpus: [{ROOT / 'seeds'}]\n")
    lines = example.replace('"config.yaml"', repr(str(tmp_path / "config.yaml")))
    lines = lines.replace("\nprint", "\nengine.index_if_missing()\nprint")
    exec(compile(lines, "README.md", "exec"), {})
    assert capsys.readouterr().out == "1097名\n"
