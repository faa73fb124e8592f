"""`qa bot NAME` as a process, and what it writes to its log."""

from __future__ import annotations

import io
import logging
import signal
import subprocess

import pytest

from index.errors import ConfigError
from qa.chat.bots.run import PACKAGES, Hidden, find_bot
from qa.configuration.config import Config
from tests.conftest import CANONICAL
from tests.qa.chat.bots.dingtalk import SECRET, SESSION, TICKET, Dingtalk
from tests.qa.chat.bots.every import BASE
from tests.qa.commands import COMMAND, environment, run_qa
from tests.qa.servers import wait_until


def test_the_process_answers_and_ends_at_a_signal(seeds_config, tmp_path):
    name, platform = "dingtalk", Dingtalk()
    variables = {f"QA_{name}_{key}".upper(): value for key, value in platform.settings().items()}
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        bot = subprocess.Popen(
            [*COMMAND, "bot", name],
            cwd=seeds_config.base,
            env=environment(**variables, QA_SERVER_PUBLIC_URL=BASE),
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
        try:
            platform.wait()
            platform.ask(CANONICAL)
            assert "1097名" in platform.reply().text
            platform.is_failing = True
            platform.ask(CANONICAL, message="m2")
            wait_until(lambda: b"could not be sent" in log.read_bytes())
        finally:
            bot.send_signal(signal.SIGTERM)
            out, _ = bot.communicate(timeout=60)
            platform.close()
    told = log.read_text(encoding="utf-8")
    assert (bot.returncode, out) == (0, b""), told
    for secret in (SECRET, TICKET, SESSION):
        assert secret not in told
    assert CANONICAL not in told and "Traceback" not in told
    assert f"{name}: connecting to {platform.url}" in told


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        (["bot", "telegram"], {}, "'telegram': there is no such bot; choose one of dingtalk, feishu, wecom, slack"),
        (
            ["bot", "slack"],
            {"QA_SLACK_BOT_TOKEN": "x"},
            "the bot for slack needs slack.app_token (QA_SLACK_APP_TOKEN); docs/bots.md says where to find them",
        ),
        (
            ["bot", "feishu"],
            {"QA_FEISHU_APP_ID": "x", "QA_FEISHU_APP_SECRET": "y", "QA_FEISHU_MODE": "callback"},
            "feishu.verification_token (QA_FEISHU_VERIFICATION_TOKEN) and feishu.encrypt_key (QA_FEISHU_ENCRYPT_KEY)",
        ),
        (["bot"], {}, "Missing argument 'name'"),
    ],
)
def test_what_is_missing_is_said_in_a_line(seeds_config, arguments, variables, words):
    done = run_qa(*arguments, folder=seeds_config.base, **variables)
    lines = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert words in lines[-1] and lines[-1].startswith("qa: ")


def test_a_missing_extra_is_said_with_the_command(monkeypatch):
    monkeypatch.setitem(PACKAGES, "slack", "no_such_package")
    with pytest.raises(ConfigError, match=r"needs packages of its own; run: pip install 'cited-qa\[slack\]'"):
        find_bot("slack", Config())


def test_the_log_holds_no_secrets():
    config = Config(slack={"bot_token": "xoxb-1", "app_token": "xapp-1"}, encoder={"api_key": "k-1", "model": "m"})
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(Hidden(config))
    loggers = [logging.getLogger(name) for name in ("vendor", "qa.chat.x")]
    for logger in loggers:
        logger.addHandler(handler)
    vendor, ours = loggers
    vendor.error("post failed: Max retries exceeded with url: /robot?session=abc&x=1 (Caused by %s)", "xoxb-1")
    vendor.error("unknown exception", "an argument without a place")
    vendor.warning("connected to wss://a.b/ws?ticket=abc\nsecond line k-1")
    for logger, told in ((vendor, "in theirs"), (ours, "xapp-1 is wrong"), (ours, "in ours")):
        try:
            raise ValueError(told)
        except ValueError:
            logger.exception("failed")
    for logger in loggers:
        logger.removeHandler(handler)
    lines = stream.getvalue().splitlines()
    assert lines[:6] == [
        "post failed: Max retries exceeded with url: /robot?*** (Caused by ***)",
        "unknown exception ('an argument without a place',)",
        "connected to wss://a.b/ws?*** second line ***",
        "failed: ValueError: in theirs",
        "failed: ValueError: *** is wrong",
        "failed",
    ]
    assert (lines[6], lines[-1]) == ("Traceback (most recent call last):", "ValueError: in ours")
