"""One platform after another, and a configuration of its bot over the seeds."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from qa.config import Config
from tests.qa.chat.bots.dingtalk import Dingtalk
from tests.qa.chat.bots.feishu import Feishu, FeishuCallback
from tests.qa.chat.bots.platforms import Platform
from tests.qa.chat.bots.slack import Slack
from tests.qa.chat.bots.wecom import Wecom, make_certificate

BASE = "https://docs.example"
NAMES = ["dingtalk", "feishu", "feishu-callback", "wecom", "slack"]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine that the SDK of 企业微信 trusts from now on."""
    import_module("qa.chat.bots.wecom")  # which imports the SDK without its warning
    file = make_certificate(tmp_path_factory.mktemp("tls"))
    sys.modules["aibot.ws"]._SSL_CONTEXT.load_verify_locations(file)
    return file


@pytest.fixture(params=NAMES)
def platform(request: pytest.FixtureRequest) -> Iterator[Platform]:
    made = make_platform(request.param, request)
    yield made
    made.close()


def make_platform(name: str, request: pytest.FixtureRequest) -> Platform:
    if name == "wecom":
        return Wecom(request.getfixturevalue("certificate"))
    if name == "feishu-callback":
        return FeishuCallback(free_port())
    return {"dingtalk": Dingtalk, "feishu": Feishu, "slack": Slack}[name]()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def configured(config: Config, platform: Platform, **bots: Any) -> Config:
    """A configuration of one bot, with changed settings of `bots`."""
    group = type(getattr(config, platform.name))(**platform.settings())
    changed = {
        platform.name: group,
        "bots": type(config.bots)(**bots),
        "server": config.server.model_copy(update={"public_url": BASE}),
    }
    return config.model_copy(update=changed)
