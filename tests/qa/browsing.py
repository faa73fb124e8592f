"""Debian's Chromium, driven by playwright, on pages of a real server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    "--disable-dev-shm-usage",
)
DESKTOP = {"width": 1200, "height": 860}
PHONE = {"width": 360, "height": 740}
# A busy machine may take its time; an idle one shows everything in a fraction of a second.
_PATIENCE_MS = 20_000
REQUIRE_ALL = "CITED_QA_REQUIRE_ALL"


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser. Where there is none the test is skipped, or fails when CITED_QA_REQUIRE_ALL=1 is set."""
    if not os.access(CHROMIUM, os.X_OK):
        reason = "there is no Chromium; install it with: apt-get install -y --no-install-recommends chromium"
        pytest.fail(reason) if os.environ.get(REQUIRE_ALL) == "1" else pytest.skip(reason)
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, base_url: str, path: str = "", **options: Any) -> Iterator[Page]:
    """A page in a context of its own, Chinese and light unless `options` say otherwise.

    It fails afterwards when a script failed or another host was asked for anything.
    """
    settings = {"locale": "zh-CN", "viewport": DESKTOP, "reduced_motion": "reduce", **options}
    context = browser.new_context(base_url=f"{base_url.rstrip('/')}/", **settings)
    page = context.new_page()
    page.set_default_timeout(_PATIENCE_MS)
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on("dialog", lambda dialog: dialog.dismiss())
    page.on("dialog", lambda dialog: failures.append(f"dialog: {dialog.message}"))
    page.on("request", lambda request: failures.append(request.url) if _is_foreign(request.url, base_url) else None)
    try:
        page.goto(path)
        yield page
        assert failures == []
    finally:
        context.close()


def _is_foreign(url: str, base_url: str) -> bool:
    return not url.startswith((base_url.rstrip("/"), "data:", "blob:"))


def asking(question: str) -> str:
    """The address of an answer."""
    return f"?q={quote(question)}"
