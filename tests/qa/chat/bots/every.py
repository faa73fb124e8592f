"""Every platform by name, and a configuration of its bot."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from qa.configuration.config import Config
from tests.qa.chat.bots.dingtalk import Dingtalk
from tests.qa.chat.bots.feishu import Feishu, FeishuCallback
from tests.qa.chat.bots.platforms import Platform
from tests.qa.chat.bots.slack import Slack
from tests.qa.chat.bots.wecom import Wecom

BASE = "https://docs.example"
NAMES = ["dingtalk", "feishu", "feishu-callback", "wecom", "slack"]


def make_platform(name: str) -> Platform:
    """A platform that listens; close it in the end."""
    if name == "feishu-callback":
        with socket.create_server(("127.0.0.1", 0)) as listener:
            return FeishuCallback(listener.getsockname()[1])
    platforms: dict[str, Callable[[], Platform]]
    platforms = {"dingtalk": Dingtalk, "feishu": Feishu, "wecom": Wecom, "slack": Slack}
    return platforms[name]()


def configured(config: Config, platform: Platform, **bots: Any) -> Config:
    """A configuration of one bot, with changed settings of `bots`."""
    group = type(getattr(config, platform.name))(**platform.settings())
    changed = {
        platform.name: group,
        "bots": type(config.bots)(**bots),
        "server": config.server.model_copy(update={"public_url": BASE}),
    }
    return config.model_copy(update=changed)
