"""Documents on the page: reading one at the quoted place, the list, and what an administrator may do."""

from __future__ import annotations

import datetime
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from qa.api.addresses import listen
from qa.configuration.config import Config
from qa.configuration.keys import parse_keys
from qa.engine import Engine
from tests.conftest import CANONICAL
from tests.index.parsing.samples import make_pdf
from tests.qa.browsing import asking, chromium, opened
from tests.qa.commands import COMMAND, environment
from tests.qa.servers import make_corpus, serving, wait_until

Open = Callable[..., AbstractContextManager[Page]]
READ, ADMIN = "r" * 24, "a" * 24
EMOJI = "😀🎉"
HOSTILE = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>"
LONG_LINES = 4_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def show(browser, client) -> Open:
    return partial(opened, browser, str(client.base_url))


@pytest.fixture(scope="module")
def varied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server over documents that are not plain: pages, emoji, markup, megabytes."""
    folder = tmp_path_factory.mktemp("varied")
    config = make_corpus(folder, "papers")
    papers = folder / "papers"
    (papers / "pages.pdf").write_bytes(
        make_pdf(
            [f"第{word}页说的是{word}号水库的事,库容为{n}23万立方米。" for n, word in enumerate("一二三", 1)],
            page_each=True,
        )
    )
    (papers / "emoji.txt").write_text(f"开头{EMOJI * 40}的话。\n\n希望小学{EMOJI}共有学生7654名。\n", encoding="utf-8")
    (papers / "hostile.txt").write_text(
        f"# 安全 {HOSTILE}\n\n{HOSTILE}防火墙一共拦截了8642次攻击{HOSTILE}。\n", encoding="utf-8"
    )
    lines = (f"第{n}号档案" + "、".join(["天气来访人数记录卷宗"] * 9) for n in range(LONG_LINES))
    (papers / "long.txt").write_text("\n\n".join(lines), encoding="utf-8")
    Engine(config).index()
    with serving(config) as client:
        yield client


def citation(client: httpx.Client, question: str) -> dict[str, Any]:
    return client.post("/v1/ask", json={"query": question}).json()["citations"][0]


def marked(page: Page) -> str:
    expect(page.locator(".sheet mark").first).to_be_visible()
    return "".join(page.locator(".sheet mark").all_inner_texts())


def test_a_citation_opens_the_document_at_the_quote(show, client):
    cited = citation(client, CANONICAL)
    assert cited["url"].startswith(f"/documents/{cited['document_id']}?start=")
    with show(asking(CANONICAL)) as page:
        page.locator(".sources .title").click()
        assert marked(page) == cited["quote"]
        expect(page.locator("mark").first).to_be_in_viewport()
        assert page.url.endswith(cited["url"])
        page.go_back()
        expect(page.locator(".answer .value")).to_have_text("1097名")
        page.goto(cited["url"])
        assert marked(page) == cited["quote"]


def test_the_outline_leads_to_articles_and_headings(show, client):
    cited = citation(client, CANONICAL)
    outline = client.get(f"/v1/documents/{cited['document_id']}/outline").json()
    text = client.get(f"/v1/documents/{cited['document_id']}/text").text
    assert outline["characters"] == len(text)
    assert {"健全机制,维护权益", "拓展领域,真情服务"} <= {found["title"] for found in outline["headings"]}
    for found in outline["headings"]:
        if found["level"]:
            assert text.startswith(found["title"], found["start"])
    with show(cited["url"]) as page:
        marked(page)
        page.locator(".outline a", has_text="围绕中心,激发活力").click()
        heading = page.locator(".sheet .heading", has_text="围绕中心,激发活力")
        expect(heading).to_be_in_viewport()


def test_earlier_and_later_passages(show, client):
    cited = citation(client, CANONICAL)
    passages = client.get(f"/v1/documents/{cited['document_id']}/outline").json()["passages"]
    text = client.get(f"/v1/documents/{cited['document_id']}/text").text
    now = next(n for n, (start, end) in enumerate(passages) if end > cited["start"])
    with show(cited["url"]) as page:
        marked(page)
        page.get_by_role("button", name="后一段").click()
        start, end = passages[now + 1]
        page.wait_for_url(f"**start={start}&end={end}")
        page.wait_for_function(
            "text => document.querySelector('mark')?.textContent.includes(text)", arg=text[start:][:9]
        )
        page.keyboard.press("p")
        page.keyboard.press("p")
        start, end = passages[now - 1]
        page.wait_for_url(f"**start={start}&end={end}")
        page.get_by_role("button", name="回到引文").click()
        shown = "[...document.querySelectorAll('mark')].map(mark => mark.textContent).join('')"
        page.wait_for_function(f"text => {shown} === text", arg=cited["quote"])


def test_copying_a_citation(show, client):
    cited = citation(client, CANONICAL)
    with show(cited["url"], permissions=["clipboard-read", "clipboard-write"]) as page:
        copied: dict[str, Any] = {}
        for name in ("文本", "Markdown", "GB/T 7714"):
            page.locator(".copies").get_by_role("button", name=name).click()
            expect(page.locator(".copies").get_by_text("已复制")).to_have_count(len(copied) + 1)
            copied[name] = page.evaluate("navigator.clipboard.readText()")
        title, url = cited["title"], page.url
    assert copied["文本"].startswith(f"“{cited['quote']}”\n——《{title}》")
    assert copied["文本"].endswith(f"\n{url}")
    assert copied["Markdown"].startswith(f"> {cited['quote']}\n>\n> — [{title}]({url})")
    assert copied["GB/T 7714"] == f"{title}[Z/OL]. [{datetime.date.today()}]. {url}."


def test_pages_of_a_pdf(browser, varied):
    cited = citation(varied, "二号水库的库容是多少")
    assert cited["page"] == 2
    with opened(browser, str(varied.base_url), cited["url"][1:]) as page:
        assert "223万立方米" in marked(page)
        expect(page.get_by_role("separator", name="第 2 页")).to_be_attached()
        expect(page.locator(".doctools .where")).to_contain_text("第 2 页")
        page.goto(asking("二号水库的库容是多少"))
        expect(page.locator(".sources .place")).to_contain_text("第 2 页")


def test_offsets_count_code_points(browser, varied):
    cited = citation(varied, "希望小学有多少学生")
    assert cited["start"] > 2 * len(EMOJI) * 40 - 90 and EMOJI in cited["quote"]
    with opened(browser, str(varied.base_url), cited["url"][1:]) as page:
        assert marked(page) == cited["quote"]
        page.goto(asking("希望小学有多少学生"))
        expect(page.locator(".answer blockquote strong")).to_have_text("7654名")
        assert "".join(page.locator(".hit").first.locator("mark").all_inner_texts()) == cited["quote"]
        spans = page.evaluate(
            "import('./web/spans.js').then(({Text, layered, size, spansOf}) => [new Text('a😀b').slice(1, 2),"
            " size('😀🎉'), spansOf('😀数12个', '12个'), layered('x😀yz', 10, [{spans: [[11, 13]],"
            " make: () => document.createElement('b')}]).querySelector('b').textContent])"
        )
    assert spans == ["😀", 2, [[2, 5]], "😀y"]


def test_a_document_that_holds_a_script(browser, varied):
    question = "防火墙一共拦截了多少次攻击"
    cited = citation(varied, question)
    with opened(browser, str(varied.base_url), asking(question)) as page:
        expect(page.locator(".answer")).to_contain_text("<script>window.pwned = 1</script>")
        for path in (cited["url"][1:], "documents", "map"):
            page.goto(path)
            expect(page.locator("main")).to_contain_text("<script>")
        assert page.evaluate("window.pwned") is None
        assert page.locator("main img, main script").count() == 0


def test_a_document_of_megabytes_stays_quick(browser, varied):
    (found,) = varied.get("/v1/documents", params={"q": "long.txt"}).json()["documents"]
    outline = varied.get(f"/v1/documents/{found['id']}/outline").json()
    text = varied.get(f"/v1/documents/{found['id']}/text").text
    assert outline["characters"] == len(text) > 400_000
    start = text.index("第2345号")
    with opened(browser, str(varied.base_url), f"documents/{found['id']}?start={start}&end={start + 7}") as page:
        assert marked(page) == text[start : start + 7]
        expect(page.locator("mark").first).to_be_in_viewport()
        assert page.locator(".line").count() < 400
        page.evaluate("scrollBy(0, 30000)")
        page.wait_for_function("() => document.querySelectorAll('.chunk').length > 1")
        page.evaluate("scrollTo(0, 0)")
        page.wait_for_function("n => +document.querySelector('[data-start]').dataset.start < n", arg=start - 9000)
        shown = page.evaluate("[...document.querySelectorAll('.chunk')].map(e => e.innerText).join('')")
        numbers = [int(line.partition("号")[0]) for line in shown.split("第")[1:]]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_a_document_that_is_not_there(show):
    with show("documents/nothing") as page:
        expect(page.locator(".trouble")).to_contain_text("没有这个文件")


def test_the_list_its_warnings_and_search_by_name(show):
    with show("documents") as page:
        expect(page.locator(".files .title")).to_have_count(6)
        page.locator(".files .wary summary").first.click()
        expect(page.locator(".files .wary li").first).to_be_visible()
        page.keyboard.press("/")
        page.keyboard.type("武威")
        expect(page.locator(".files .title")).to_have_text(["武威市总工会"])
        page.fill("#name", "没有这个名字")
        expect(page.locator(".files")).to_contain_text("没有名称中含“没有这个名字”的文件")


@pytest.fixture
def own(tmp_path: Path) -> Config:
    """A small corpus that a test may change."""
    config = make_corpus(tmp_path, "notes")
    (tmp_path / "notes" / "first.txt").write_text("第一份文件说的是桥梁。\n", encoding="utf-8")
    Engine(config).index()
    return config


def test_uploading_deleting_and_reading_anew(browser, own):
    with serving(own) as client, opened(browser, str(client.base_url), "documents") as page:
        page.get_by_text("管理").click()
        upload: FilePayload = {
            "name": "学校.txt",
            "mimeType": "text/plain",
            "buffer": "希望小学共有学生4321名。\n".encode(),
        }
        page.set_input_files("#files", upload)
        expect(page.locator(".joblog .ok")).to_contain_text("完成")
        expect(page.locator(".files .title")).to_have_count(2)
        page.set_input_files("#files", upload)
        expect(page.locator(".joblog .trouble")).to_be_visible()
        page.check("#replace")
        page.evaluate(
            "text => { const data = new DataTransfer(); data.items.add(new File([text], '学校.txt'));"
            " document.querySelector('.drop').dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true,"
            " cancelable: true})) }",
            "希望小学共有学生8765名。\n",
        )
        wait_until(lambda: "8765名" in client.get("/v1/ask", params={"q": "希望小学有多少学生"}).text)
        (own.base / "notes" / "third.txt").write_text("第三份文件说的是图书馆。\n", encoding="utf-8")
        page.get_by_role("button", name="重新读取所有文件夹").click()
        expect(page.locator(".files .title")).to_have_count(3)
        own_row = page.locator(".files > li", has_text="first.txt")  # nobody uploaded it, and there are no keys
        own_row.get_by_role("button", name="删除").click()
        page.get_by_role("dialog").get_by_role("button", name="删除").click()
        expect(page.locator(".joblog .trouble", has_text="was not uploaded")).to_be_visible()
        page.get_by_role("dialog").get_by_role("button", name="取消").click()
        row = page.locator(".files > li", has_text="学校.txt")
        row.get_by_role("button", name="删除").click()
        expect(page.get_by_role("dialog")).to_contain_text("学校.txt")
        page.get_by_role("dialog").get_by_role("button", name="取消").click()
        expect(page.locator(".files .title")).to_have_count(3)
        row.get_by_role("button", name="删除").click()
        page.get_by_role("dialog").get_by_role("button", name="删除").click()
        expect(page.locator(".files .title")).to_have_count(2)
        assert not (own.base / "notes" / "学校.txt").exists()


def test_keys_are_asked_for_and_kept_for_the_tab(browser, own):
    keys = parse_keys([f"reader:read:{READ}", f"boss:admin:{ADMIN}"])
    config = own.model_copy(update={"server": own.server.model_copy(update={"api_keys": keys})})
    with serving(config) as client, opened(browser, str(client.base_url), "") as page:
        dialog = page.get_by_role("dialog", name="输入访问密钥")
        expect(dialog).to_be_visible()
        dialog.get_by_label("密钥", exact=True).fill(READ)
        page.keyboard.press("Enter")
        page.fill("#q", "桥梁")
        page.keyboard.press("Enter")
        expect(page.locator(".hit")).to_have_count(1)
        assert READ not in page.url
        page.goto("documents")
        page.get_by_text("管理").click()
        page.get_by_role("button", name="重新读取所有文件夹").click()
        expect(page.locator(".joblog .trouble")).to_contain_text("管理员密钥")
        dialog.get_by_label("密钥", exact=True).fill(ADMIN)
        page.keyboard.press("Enter")
        expect(page.locator(".joblog .ok")).to_contain_text("完成")
        assert page.evaluate("localStorage.length") == 0


def start(config_file: Path, port: int) -> subprocess.Popen[bytes]:
    command = [*COMMAND, "serve", "--config", str(config_file), "--port", str(port)]
    return subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL)


def test_a_killed_server_is_waited_for_and_the_question_kept(browser, own):
    config_file = own.base / "config.yaml"
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]  # free again in a moment
    server = start(config_file, port)
    address = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=address) as client:
            wait_until(partial(is_up, client))
        with opened(browser, address) as page:
            expect(page.locator(".lead")).to_be_visible()
            page.wait_for_load_state("networkidle")
            os.kill(server.pid, signal.SIGKILL)
            server.wait()
            page.fill("#q", "桥梁")
            page.keyboard.press("Enter")
            expect(page.locator(".trouble")).to_contain_text("连接不上服务器")
            assert page.input_value("#q") == "桥梁"
            server = start(config_file, port)
            expect(page.locator(".hit")).to_have_count(1)
    finally:
        server.kill()
        server.wait()


def is_up(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.HTTPError:
        return False
