"""The map: its layout over HTTP, and what can be done with it on the page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from qa.engine import Engine
from qa.exploring import overview
from qa.exploring.overview import Overview
from tests.conftest import CANONICAL
from tests.qa.browsing import asking, chromium, opened
from tests.qa.servers import make_corpus, serving


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def test_few_documents_are_shown_by_their_passages(client):
    found = client.get("/v1/map").json()
    passages = sum(info["passages"] for info in client.get("/v1/documents").json()["documents"])
    assert found["total"] == passages == len(found["points"])
    assert all(-1 <= point["x"] <= 1 and -1 <= point["y"] <= 1 for point in found["points"])
    point = found["points"][0]
    span = {"start": point["start"], "end": point["end"]}
    text = client.get(f"/v1/documents/{found['documents'][point['document']]['id']}/text", params=span).text
    assert " ".join(text[:60].split()) == point["text"]
    assert client.get("/v1/map").json() == found


def test_near_in_meaning_is_near_on_the_map(client):
    found = client.get("/v1/map").json()
    places = np.array([[point["x"], point["y"]] for point in found["points"]])
    groups = defaultdict(list)
    for number, point in enumerate(found["points"]):
        groups[point["document"], point["heading"]].append(number)
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    within = [apart[np.ix_(group, group)].mean() for group in groups.values() if len(group) > 3]
    assert np.mean(within) < 0.75 * apart.mean()


def test_many_documents_are_shown_as_a_sample_with_the_answer_s_added(seeds_config, monkeypatch):
    monkeypatch.setattr(overview, "_MAX_OPENED", 2)
    monkeypatch.setattr(overview, "MAX_POINTS", 3)
    engine = Engine(seeds_config)
    made = Overview()
    plain = made.picture(engine)
    assert (plain.total, len(plain.dots)) == (6, 3)
    assert all(dot.passage is None for dot in plain.dots)
    shown = {info.id for info in plain.documents}
    absent = next(info for info in engine.documents() if info.id not in shown)
    added = made.picture(engine, [f"{absent.id}-1", f"{absent.id}-2", "nothing-1", "x"])
    assert [info.id for info in added.documents] == [*(info.id for info in plain.documents), absent.id]
    assert len(added.dots) == 4 and added.dots[:3] == plain.dots


def test_passages_of_an_answer_are_added_to_a_sample_of_passages(seeds_config, monkeypatch):
    monkeypatch.setattr(overview, "MAX_POINTS", 40)
    engine = Engine(seeds_config)
    made = Overview()
    known = {dot.passage.id for dot in made.picture(engine).dots if dot.passage}
    hits = [hit.passage_id for hit in engine.search(CANONICAL).hits]
    shown = {dot.passage.id for dot in made.picture(engine, hits).dots if dot.passage}
    assert shown == known | set(hits)
    assert len(known) <= 40 < engine.store.counts()[1]


# How many dots of the canvas have a colour.
_COLOURED = (
    "() => { const c = document.querySelector('canvas'); const d = c.getContext('2d').getImageData(0, 0, c.width,"
    " c.height).data; let n = 0; for (let i = 0; i < d.length; i += 4) n += Math.abs(d[i] - d[i + 1]) > 30; return n }"
)


def test_the_map_on_the_page(browser, client):
    with opened(browser, str(client.base_url), asking(CANONICAL)) as page:
        page.get_by_text("在地图上看").click()
        expect(page.locator(".maplegend .lit").first).to_contain_text("10")
        expect(page.locator("canvas")).to_have_attribute(
            "aria-label", "按意思排列的文件地图，251 个点；方向键移动，加减号缩放"
        )
        page.wait_for_function(f"() => ({_COLOURED})() > 500")
        before = page.evaluate(_COLOURED)
        page.get_by_role("button", name="放大").click()
        page.locator("canvas").focus()
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("+")
        page.wait_for_function(f"n => Math.abs(({_COLOURED})() - n) > 50", arg=before)
        page.keyboard.press("0")
        page.wait_for_function(f"n => ({_COLOURED})() === n", arg=before)
        point = client.get("/v1/map").json()["points"][7]
        box = page.locator("canvas").bounding_box()
        assert box
        x = box["width"] / 2 + point["x"] * (box["width"] / 2 - 28)
        y = box["height"] / 2 - point["y"] * (box["height"] / 2 - 28)
        page.mouse.move(box["x"] + x, box["y"] + y)
        expect(page.locator(".tip")).to_be_visible()
        page.mouse.wheel(0, -200)
        page.mouse.click(box["x"] + x, box["y"] + y)
        expect(page.locator(".sheet mark").first).to_be_in_viewport()


def test_the_list_beside_the_map_says_the_same(browser, client):
    with opened(browser, str(client.base_url), "map") as page:
        expect(page.locator(".mapdocs a")).to_have_count(6)
        page.locator(".mapdocs a").first.focus()
        page.keyboard.press("Enter")
        expect(page.locator(".dochead h1")).to_be_visible()


def test_an_empty_corpus_has_an_empty_map(browser, tmp_path):
    config = make_corpus(tmp_path, "nothing")
    with serving(config) as client, opened(browser, str(client.base_url), "map") as page:
        expect(page.locator("main")).to_contain_text("还没有文件")
        assert client.get("/v1/map").json()["points"] == []
        assert client.get("/v1/examples").json() == {"questions": []}
        page.goto("documents")
        expect(page.locator(".files")).to_contain_text("还没有文件")
