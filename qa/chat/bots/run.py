"""`qa bot NAME`: a bot as a process that runs until it is told to end."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from traceback import format_exception
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, SecretStr

from index.errors import ConfigError
from index.pauses import pauses
from qa.api.logs import configure
from qa.configuration.config import ENV_PREFIX, Config
from qa.engine import Engine

if TYPE_CHECKING:
    from qa.chat.bots.dispatcher import Dispatcher

logger = logging.getLogger(__name__)

T = TypeVar("T")
Serve = Callable[[Config, "Dispatcher", threading.Event], None]
"""Receives questions for a dispatcher, and returns once the event is set."""

# The vendor's package that each bot needs; it comes with the extra of the bot's name.
PACKAGES = {"dingtalk": "dingtalk_stream", "feishu": "lark_oapi", "wecom": "aibot", "slack": "slack_bolt"}

_GRACE_S = 10.0
_POLL_S = 0.25
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
# Addresses that the vendors give out hold what allows to speak for the bot in their query.
_QUERY = re.compile(r"\?[\w.-]+=[^\s'\")>]*")


def find_bot(name: str, config: Config) -> Serve:
    """The bot called `name`.

    Raises:
        ConfigError: there is none of that name, its extra is not installed, or a setting that it needs is missing.
    """
    if name not in PACKAGES:
        raise ConfigError(f"{name!r}: there is no such bot; choose one of {', '.join(PACKAGES)}")
    if find_spec(PACKAGES[name]) is None or find_spec("cachetools") is None:
        raise ConfigError(f"the bot for {name} needs packages of its own; run: pip install 'cited-qa[{name}]'")
    if missing := getattr(config, name).missing():
        keys = " and ".join(f"{name}.{key} ({ENV_PREFIX}{name.upper()}_{key.upper()})" for key in missing)
        raise ConfigError(f"the bot for {name} needs {keys}; docs/bots.md says where to find them")
    serve: Serve = import_module(f"qa.chat.bots.{name}").serve
    return serve


def run(serve: Serve, engine: Engine) -> None:
    """Run a bot until SIGTERM or Ctrl-C; questions that were taken are answered first, for some seconds.

    Raises:
        ConfigError: the vendor refuses what is configured.
        Exception: whatever else ended the bot.
    """
    from qa.chat.bots.dispatcher import Dispatcher  # whose packages come with the extras

    configure(engine.config.server)
    for handler in logging.getLogger().handlers:
        handler.addFilter(Hidden(engine.config))
    if not engine.config.server.public_url:
        logger.warning("server.public_url is not set, so sources in answers have no links")
    stop, closing = threading.Event(), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    failed: list[BaseException] = []
    dispatcher = Dispatcher(engine)

    def receive() -> None:
        try:
            serve(engine.config, dispatcher, closing)
        except BaseException as exc:
            failed.append(exc)
        finally:
            stop.set()

    # Not waited for at the end of the process: a vendor's package may hang in a request without a time limit.
    receiver = threading.Thread(target=receive, name="bot", daemon=True)
    receiver.start()
    stop.wait()
    dispatcher.close(_GRACE_S)
    closing.set()
    receiver.join(_GRACE_S)
    if failed:
        raise failed[0]


class Hidden(logging.Filter):
    """Leaves the configured secrets and queries of addresses out of each record, and tracebacks that aren't ours."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self._secrets = sorted(_secrets(config), key=len, reverse=True)

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # a vendor's call with arguments that its message has no place for
            text = f"{record.msg} {record.args}"
        if record.exc_info and (error := record.exc_info[1]):
            trace = "".join(format_exception(error))
            if not record.name.startswith("qa.") or any(secret in trace for secret in self._secrets):
                text, record.exc_info = f"{text}: {type(error).__name__}: {error}", None
        for secret in self._secrets:
            text = text.replace(secret, "***")
        record.msg, record.args = _QUERY.sub("?***", " ".join(text.split())), ()
        return True


def _secrets(settings: BaseModel) -> Iterator[str]:
    for value in dict(settings).values():
        if isinstance(value, BaseModel):
            yield from _secrets(value)
        elif isinstance(value, SecretStr) and value.get_secret_value():
            yield value.get_secret_value()


async def until(closing: threading.Event, task: asyncio.Task[None]) -> None:
    """Let a task run until `closing` is set, then cancel it; what it raises of its own is raised."""
    while not closing.is_set() and not task.done():
        await asyncio.wait({task}, timeout=_POLL_S)
    while not task.done():
        # More than once: a vendor's loop takes the first one for a lost connection.
        task.cancel()
        await asyncio.wait({task}, timeout=_POLL_S)
    if not task.cancelled():
        task.result()


def patiently(closing: threading.Event, attempt: Callable[[], T], *errors: type[Exception]) -> T | None:
    """What `attempt` returns once it raises none of `errors`, tried again and again; None when told to end before."""
    for pause_s in pauses(_FIRST_PAUSE_S, _LONGEST_PAUSE_S):
        if closing.is_set():
            break
        try:
            return attempt()
        except errors as exc:
            logger.warning("cannot reach the chat platform, trying again: %s: %s", type(exc).__name__, exc)
        closing.wait(pause_s)
    return None
