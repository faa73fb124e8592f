from __future__ import annotations

from pathlib import Path

import pytest

from index.indexing.build import sync
from index.retrieval.search import search
from index.store import Store
from index.store.local import LocalStore
from tests.conftest import BigramEncoder

_SPEECH = """在{place}工作会议上的讲话
({year}年3月2日)
{name}

前两个月,我们修了{roads}条路,建了三座桥,群众出行更加方便,大家对此都很满意,希望今年再接再厉,把各项工程按时保质做好,让更多的人受益。

下一步还要修水渠。各村要早作打算,备好材料,农闲时抓紧开工,争取在雨季到来之前全部完成,不误夏天的灌溉,不给群众添麻烦。
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    folder = tmp_path / "docs"
    folder.mkdir()
    for year, name, roads in ((2004, "赵大山", 12), (2009, "钱小河", 30)):
        text = _SPEECH.format(place="全县", year=year, name=name, roads=roads)
        (folder / f"{year}.txt").write_text(text, encoding="utf-8")
    (folder / "empty.txt").write_text("版权所有 翻印必究\n\n- 1 -\n", encoding="utf-8")
    return sync({"docs": folder}, tmp_path / "data", BigramEncoder(), base=tmp_path)[0]


@pytest.mark.parametrize(
    ("query", "expected"),
    [("2004年修了几条路", "修了12条路"), ("2009年修了几条路", "修了30条路"), ("钱小河说修了几条路", "修了30条路")],
)
def test_a_passage_is_found_by_what_only_its_title_block_says(store: LocalStore, query: str, expected: str) -> None:
    hits = search(store, BigramEncoder(), query)
    best = next(hit.passage for hit in hits if "修了" in hit.passage.text)
    assert expected in best.text
    assert best.context == (("2009年3月2日", "钱小河") if "30" in expected else ("2004年3月2日", "赵大山"))


def test_a_document_of_furniture_alone_is_stored_and_not_found(store: LocalStore) -> None:
    (info,) = [info for info in store.documents() if info.path.endswith("empty.txt")]
    assert info.passages == 1
    hits = search(store, BigramEncoder(), "版权所有 翻印必究")
    assert all(hit.scores.lexical == 0 for hit in hits if hit.passage.document_id == info.id)
