"""What the docs tell people to paste is well formed, and the same in both languages."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from qa.cli.main import app
from tests.conftest import ROOT


def blocks(name: str) -> list[tuple[str, str]]:
    return re.findall(r"```(\w+)\n(.*?)```", (ROOT / "docs" / name).read_text(encoding="utf-8"), re.DOTALL)


def test_both_languages_say_to_paste_the_same():
    assert blocks("chat.md") == blocks("chat.zh-CN.md")


@pytest.mark.parametrize("text", [text for kind, text in blocks("chat.md") if kind == "json"])
def test_json_to_paste(text):
    (servers,) = json.loads(text).values()
    (entry,) = servers.values()
    assert entry.get("url", "http://127.0.0.1:8000/mcp") == "http://127.0.0.1:8000/mcp"
    assert entry.get("args", ["mcp"])[0] == "mcp"


def test_commands_to_paste():
    commands = [shlex.split(text) for kind, text in blocks("chat.md") if kind == "sh"]
    assert all(command[:3] == ["claude", "mcp", "add"] for command in commands)
    assert "mcp" in {command.callback.__name__ for command in app.registered_commands}


def test_python_to_paste(client, capsys):
    (text,) = [text for kind, text in blocks("chat.md") if kind == "python"]
    exec(compile(text.replace("http://127.0.0.1:8000", str(client.base_url)), "docs/chat.md", "exec"), {})
    assert "1097名" in capsys.readouterr().out


def test_the_published_threshold_is_the_one_in_use():
    from qa.chat import dify

    assert f"1 / (1 + e^(({dify._MIDDLE:g} − s) / {dify._SCALE}))" in (ROOT / "docs/chat.md").read_text(
        encoding="utf-8"
    )
