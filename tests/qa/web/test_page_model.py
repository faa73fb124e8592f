"""Answers that a language model writes, as the page shows them while they come and when they are done."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, expect

from qa.configuration.settings import LlmConfig
from tests.conftest import CANONICAL
from tests.qa.browsing import asking, chromium, opened
from tests.qa.llm.model_server import KEY, MODEL, ModelServer, Reply, refusing, saying, serving_model, truth
from tests.qa.servers import serving


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with serving_model() as server:
        yield server


@pytest.fixture(scope="module")
def writing(seeds_config, model) -> Iterator[httpx.Client]:
    llm = LlmConfig(model=MODEL, base_url=model.base_url, timeout_s=30.0, idle_timeout_s=20.0, api_key=KEY)
    config = seeds_config.model_copy(update={"llm": llm})
    config._base = seeds_config.base
    with serving(config) as client:
        yield client


def test_the_passages_come_first_and_the_text_while_it_is_written(browser, model, writing):
    goes_on = threading.Event()

    def hesitant(reply: Reply) -> None:
        reply.start()
        reply.say("帮助1097名困难家庭子女[1]", role="assistant")
        goes_on.wait(30)
        reply.say("圆了大学梦[1]。")
        reply.finish()

    model.behave = hesitant
    with opened(browser, str(writing.base_url), asking(CANONICAL)) as page:
        try:
            expect(page.locator(".hit").first).to_be_visible()
            expect(page.locator(".answer.streaming .caret")).to_be_attached()
            expect(page.locator(".result")).to_have_attribute("aria-busy", "true")
        finally:
            goes_on.set()
        expect(page.locator(".answer.generated .written")).to_contain_text("圆了大学梦")
        expect(page.locator(".answer .written .ref").first).to_have_attribute("href", re.compile("/documents/.+start="))
        expect(page.locator(".result")).not_to_have_attribute("aria-busy", "true")


def test_a_written_answer_leads_to_its_sources(browser, model, writing):
    model.behave = truth
    with opened(browser, str(writing.base_url), asking(CANONICAL)) as page:
        expect(page.locator(".answer.generated .value")).to_have_text("1097名")
        quote = page.locator(".sources .quote").inner_text()
        page.locator(".written .ref").first.click()
        expect(page.locator(".sheet mark").first).to_be_in_viewport()
        assert page.locator(".sheet mark").first.inner_text() in quote


def test_what_no_source_bears_out_is_marked(browser, model, writing):
    model.behave = saying("帮助1097名困难家庭子女圆了大学梦[1]。一共资助了9999名学生[1]。")
    with opened(browser, str(writing.base_url), asking(CANONICAL)) as page:
        expect(page.locator(".unsupported").first).to_contain_text("9999")
        expect(page.locator(".answer .wary")).to_contain_text("数字不在出处里")
        expect(page.locator(".answer .wary")).to_contain_text("9999")


def test_a_model_that_fails_is_said_and_the_documents_speak(browser, model, writing):
    model.behave = refusing(500)
    with opened(browser, str(writing.base_url), asking(CANONICAL)) as page:
        expect(page.locator(".answer.extractive .value")).to_have_text("1097名")
        expect(page.locator(".answer .wary")).to_contain_text("语言模型没有回答")


def test_what_the_model_writes_is_text(browser, model, writing):
    model.behave = saying("<img src=x onerror=alert(1)>帮助1097名困难家庭子女圆了大学梦[1]。[99]")
    with opened(browser, str(writing.base_url), asking(CANONICAL)) as page:
        expect(page.locator(".answer")).to_contain_text("<img src=x")
        assert page.locator("main img").count() == 0
