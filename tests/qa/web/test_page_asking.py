"""Asking on the page: what a reader sees, types and sends on, in a real browser on a real server."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.conftest import CANONICAL
from tests.qa.browsing import PHONE, asking, chromium, opened

Open = Callable[..., AbstractContextManager[Page]]
MARS = "火星上有几个人"
MAX_FIRST_VIEW_BYTES = 60_000
MAX_OWN_MS = 50


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def show(browser, client) -> Open:
    return partial(opened, browser, str(client.base_url))


def test_the_first_view_offers_questions_that_are_answered(show, client):
    with show() as page:
        examples = page.locator(".examples a")
        expect(examples.first).to_be_visible()
        assert examples.count() >= 3
        asked = examples.first.inner_text()
        examples.first.click()
        expect(page.locator(".answer .value")).to_contain_text(re.compile(r"\d"))
        assert page.input_value("#q") == asked
    for question in client.get("/v1/examples").json()["questions"]:
        assert client.post("/v1/ask", json={"query": question}).json()["status"] == "answered"


def test_an_answer_with_its_value_citation_and_passages(show):
    with show() as page:
        page.fill("#q", CANONICAL)
        page.keyboard.press("Enter")
        answer = page.locator(".answer")
        expect(answer.locator(".value")).to_have_text("1097名")
        expect(answer.locator("blockquote strong")).to_have_text("1097名")
        expect(answer.locator(".sources li")).to_contain_text("兰州市总工会改革发展纪实")
        expect(answer.locator(".sources li")).to_contain_text("拓展领域,真情服务")
        expect(answer.locator(".sources li")).to_contain_text("第 41 段")
        expect(answer.locator(".ref")).to_have_text("1")
        expect(answer.locator(".took")).to_contain_text(re.compile(r"用时 [\d.]+ ms"))
        assert "1097名" in page.locator(".hit").first.locator("mark").inner_text()
        assert page.locator(".hit").count() == 8
        assert page.evaluate("new URL(location).searchParams.get('q')") == CANONICAL
        assert CANONICAL in page.title()
        assert "1097名" in page.locator("[role=status].unseen").inner_text()


def test_an_answer_can_be_sent_as_a_link(show):
    with show(asking(CANONICAL), permissions=["clipboard-read", "clipboard-write"]) as page:
        page.get_by_text("复制答案链接").click()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == page.url
        page.goto(copied)
        expect(page.locator(".answer .value")).to_have_text("1097名")


def test_what_is_not_in_the_documents(show):
    with show(asking(MARS)) as page:
        expect(page.locator(".answer .value")).to_have_text("文件里没有找到")
        expect(page.locator(".answer .missing .chip")).to_have_text("火星")
        expect(page.get_by_role("region", name="最接近的段落").locator(".hit").first).to_be_visible()


def test_a_follow_up_is_understood_from_earlier_turns(show):
    with show(asking(CANONICAL)) as page:
        expect(page.locator(".answer .value")).to_have_text("1097名")
        page.fill("#q", "那武威呢")
        page.keyboard.press("Enter")
        expect(page.locator(".understood")).to_contain_text("武威")
        page.locator(".earlier summary").click()
        expect(page.locator(".earlier li")).to_contain_text("1097名")
        page.locator(".earlier a").click()
        expect(page.locator(".answer .value")).to_have_text("1097名")
        page.go_back()
        expect(page.locator(".understood")).to_contain_text("武威")
        page.get_by_text("复制答案链接").click()
        page.locator(".earlier summary").click()
        page.get_by_text("清除，重新开始").click()
        expect(page.locator(".earlier")).to_have_count(0)


def test_with_the_keyboard_alone(show):
    with show() as page:
        expect(page.locator("#q")).to_be_focused()
        page.keyboard.press("Escape")
        page.keyboard.press("/")
        page.keyboard.type(CANONICAL)
        page.keyboard.press("Enter")
        expect(page.locator(".answer .value")).to_have_text("1097名")
        for key in ("j", "ArrowDown", "k"):
            page.keyboard.press(key)
        expect(page.locator(".hit").first).to_be_focused()
        page.keyboard.press("e")
        expect(page.locator(".hit").first.locator(".points")).to_be_visible()
        page.keyboard.press("Enter")
        expect(page.locator("mark").first).to_be_in_viewport()
        page.keyboard.press("Escape")
        expect(page.locator(".hit").first).to_be_focused()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_contain_text("上一段")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)


def test_enter_in_an_input_method_does_not_ask(show):
    with show() as page:
        page.fill("#q", "兰zhou")
        page.evaluate(
            "document.querySelector('#q').dispatchEvent("
            "new KeyboardEvent('keydown', {key: 'Enter', isComposing: true, bubbles: true, cancelable: true}))"
        )
        expect(page.locator("h1")).to_have_text("问你的文件")


def test_why_this_passage_and_why_not_another(show):
    with show(asking(CANONICAL)) as page:
        first = page.locator(".hit").first
        first.locator("summary").click()
        expect(first.locator(".points .part")).to_have_count(5)
        expect(first.locator(".legend")).to_contain_text("意思")
        expect(first.locator(".matched .chip").first).to_have_text("兰州")
        widths = first.locator(".points .part").evaluate_all("all => all.map(e => e.getBoundingClientRect().width)")
        assert min(widths) > 0
        page.get_by_text("为什么不是另一篇？").click()
        page.fill("#why-not", "002_0383b69ccb329058.txt")
        page.keyboard.press("Enter")
        expect(page.locator(".whynot .reasons li").first).to_be_visible()
        expect(page.locator(".whynot .standing")).to_have_count(2)
        assert "兰州" in page.locator(".whynot .reasons").inner_text()
        page.fill("#why-not", "no such file")
        page.keyboard.press("Enter")
        expect(page.locator(".whynot .trouble")).to_contain_text("没有这个文件")


def test_english_by_browser_and_chinese_by_choice(show):
    with show(asking(MARS), locale="en-US") as page:
        expect(page.locator(".answer .value")).to_have_text("Not found in the documents")
        assert page.evaluate("document.documentElement.lang") == "en"
        page.get_by_role("button", name="中文").click()
        expect(page.locator(".answer .value")).to_have_text("文件里没有找到")
        page.reload()
        expect(page.locator(".answer .value")).to_have_text("文件里没有找到")
        assert page.evaluate("document.documentElement.lang") == "zh-CN"


def test_every_word_is_there_in_both_languages(show):
    with show() as page:
        words = page.evaluate("import('./web/words.js').then(m => m.WORDS)")
        sources = page.evaluate(
            "Promise.all(performance.getEntriesByType('resource').map(e => e.name).filter(n => n.endsWith('.js'))"
            ".concat(['document', 'documents', 'manage', 'map', 'reader', 'chart'].map(n => new URL(`web/${n}.js`,"
            " document.baseURI).href)).map(n => fetch(n).then(r => r.text())))"
        )
    for key, (chinese, english) in words.items():
        assert chinese and english
        assert set(re.findall(r"\{\d\}", chinese)) == set(re.findall(r"\{\d\}", english)), key
    used = set(re.findall(r"\bt\(\s*\"([\w.]+)\"", "\n".join(sources)))
    assert len(used) > 60
    assert used <= set(words)


def test_dark_by_system_and_by_choice(show):
    luminance = "getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"
    with show(color_scheme="dark") as page:
        assert max(page.evaluate(luminance)) < 60
        page.get_by_role("button", name="浅色或深色").click()
        assert min(page.evaluate(luminance)) > 200
        page.reload()
        assert min(page.evaluate(luminance)) > 200


def test_on_a_phone_nothing_is_wider_than_the_screen(show, client):
    found = client.get("/v1/documents").json()["documents"][0]["id"]
    with show(viewport=PHONE, has_touch=True, is_mobile=True) as page:
        for path in ("", asking(CANONICAL), asking(MARS), "documents", f"documents/{found}?start=900&end=960", "map"):
            page.goto(path)
            page.wait_for_load_state("networkidle")
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
            page.evaluate("scrollTo(0, 0)")
            for item in page.locator("header nav a, header button:visible").all():
                expect(item).to_be_in_viewport()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(show, client, scheme):
    from axe_playwright_python.sync_playwright import Axe

    found = client.get("/v1/documents").json()["documents"][0]["id"]
    with show(color_scheme=scheme) as page:
        for path, ready in (
            ("", ".examples a"),
            (asking(CANONICAL), ".hit"),
            (asking(MARS), ".hit"),
            ("documents", ".files a"),
            (f"documents/{found}?start=900&end=960", "mark"),
            ("map", ".mapdocs a"),
        ):
            page.goto(path)
            expect(page.locator(ready).first).to_be_visible()
            for summary in page.locator("main summary").all()[:2]:
                if summary.is_visible() and path.startswith(("?", "documents")) and "/" not in path:
                    summary.click()
            bad = [v for v in Axe().run(page).response["violations"] if v["impact"] in ("serious", "critical")]
            assert bad == [], [(v["id"], [node["html"][:200] for node in v["nodes"]]) for v in bad]


def test_questions_are_text_and_never_markup(show):
    with show(asking("<img src=x onerror=alert(1)><b>兰州</b>")) as page:
        expect(page.locator(".answer")).to_be_visible()
        assert page.locator("main img, main .answer b").count() == 0
        page.goto(asking("第一个问题"))
        expect(page.locator(".earlier summary")).to_be_visible()
        page.locator(".earlier summary").click()
        expect(page.locator(".earlier a")).to_contain_text("<img src=x")


def test_the_first_view_is_small_and_the_page_is_quick(browser, client):
    with opened(browser, str(client.base_url), "") as page:
        page.wait_for_load_state("networkidle")
    context = browser.new_context(base_url=f"{client.base_url}/", locale="zh-CN")
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    loaded: list[float] = []
    session.on("Network.loadingFinished", lambda event: loaded.append(event["encodedDataLength"]))
    page.goto("")
    expect(page.locator(".examples a").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert sum(loaded) < MAX_FIRST_VIEW_BYTES
    measured: list[Any] = []
    for question in (CANONICAL, MARS, "南通金秋助学资助了多少学生"):
        page.fill("#q", question)
        page.keyboard.press("Enter")
        page.wait_for_function("n => performance.getEntriesByName('answer-shown').length > n", arg=len(measured))
        measured.append(page.evaluate("performance.getEntriesByName('answer-shown').at(-1).duration"))
    assert min(measured) < MAX_OWN_MS
    context.close()


def test_the_shell_allows_only_its_own_scripts(client):
    for path in ("/", "/documents", "/documents/x", "/map"):
        response = client.get(path)
        assert response.status_code == 200
        policy = response.headers["content-security-policy"]
        assert "default-src 'self'" in policy and "unsafe" not in policy
        assert re.search(r"<script(?![^>]*\bsrc=)", response.text) is None
        assert re.search(r"\bon\w+=|style=|https?://", response.text) is None
    script = client.get("/web/main.js")
    assert script.headers["content-encoding"] == "gzip"
    assert client.get("/web/main.js", headers={"If-None-Match": script.headers["etag"]}).status_code == 304
    assert client.get("/web/../app.py").status_code == 404
    assert client.get("/web/nothing.js").headers["content-type"] == "application/problem+json"


def answer_with(status: int, body: dict[str, Any], **headers: str) -> Callable[[Route], None]:
    def fulfil(route: Route) -> None:
        route.fulfill(status=status, json=body, headers=headers)

    return fulfil


def test_too_many_questions_wait_their_turn(show):
    with show() as page:
        page.route(
            "**/v1/ask", answer_with(429, {"detail": "slow down"}, **{"Retry-After": "1"}), times=1
        )  # the real one is configured by the hour
        page.fill("#q", CANONICAL)
        page.keyboard.press("Enter")
        expect(page.locator(".trouble")).to_contain_text("请求太多")
        expect(page.locator(".answer .value")).to_have_text("1097名")


def test_a_server_that_is_getting_ready_is_waited_for(show):
    with show() as page:
        detail = "the corpus is being indexed, 3 of 9 files are done; try again"
        page.route("**/v1/ask", answer_with(503, {"detail": detail}), times=1)
        page.fill("#q", CANONICAL)
        page.keyboard.press("Enter")
        expect(page.locator(".trouble")).to_contain_text("3 of 9 files")
        expect(page.locator(".answer .value")).to_have_text("1097名")


def test_a_slow_answer_says_so_and_can_be_stopped(show):
    with show() as page:
        held: list[Route] = []
        page.route("**/v1/ask", lambda route: held.append(route))
        page.clock.install()
        page.fill("#q", CANONICAL)
        page.keyboard.press("Enter")
        page.clock.run_for(500)
        expect(page.locator(".waiting")).to_contain_text("正在查找")
        page.clock.run_for(6000)
        expect(page.locator(".waiting")).to_contain_text("比平时慢")
        page.get_by_role("button", name="停止").click()
        expect(page.locator(".result")).to_contain_text("已停止")
        assert page.input_value("#q") == CANONICAL
        page.unroute_all(behavior="ignoreErrors")


@pytest.mark.parametrize(
    ("status", "words"), [(422, "服务器没有接受"), (500, "服务器出错了"), (502, "连接不上服务器")], ids=str
)
def test_other_errors_are_said_in_words(show, status, words):
    with show() as page:
        page.route("**/v1/ask", answer_with(status, {"detail": "query: is odd"}))
        page.fill("#q", CANONICAL)
        page.keyboard.press("Enter")
        expect(page.locator(".trouble")).to_contain_text(words)
