from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.chunking.furniture import furniture, is_furniture
from tests.conftest import seed


@pytest.mark.parametrize(
    "line",
    [
        "- 12 -",
        "第 3 页 共 10 页",
        "Page 3 of 12",
        "[打印] [关闭]",
        "上一篇 下一篇 返回顶部",
        "字号:大 中 小",
        "版权所有 违者必究",
        "未经授权不得转载本网内容。",
        "轉載請注明出處:某某網 www.example.com",
        "Copyright © 2020 Example Ltd. All rights reserved.",
        "Reproduction of this material without permission is prohibited.",
    ],
)
def test_lines_of_nothing_else(line: str) -> None:
    assert is_furniture(line, furniture(line))


@pytest.mark.parametrize(
    "line",
    [
        "12",
        "2020年",
        "工作不能照搬照抄,不得搞形式主义。",
        "本报原创稿件被各大网站转载300次。",
        "来源:新华网 作者:李明 发布时间:2020-01-02",
        "The report may be copied freely by every member.",
        "大 中 小企业都参加了活动。",
        "请返回总公司办理。",
    ],
)
def test_text_that_only_looks_alike_stays(line: str) -> None:
    assert furniture(line) == []


@pytest.mark.parametrize(
    ("number", "hidden", "kept"),
    [
        (16, ["原創文秘材料,轉載網絡網絡.com網。"], "要切實關心幫助解決職工的生產生活困難"),
        (66, ["本文系作者原創投稿,僅供學習參考,請勿照搬照抄!"], ""),
        (105, ["新聞作者:新聞來源:", "閱讀:次", "[字體:大 中 小]"], "添加時間:2004-4-23 17:37:22"),
    ],
)
def test_furniture_of_the_seeds(number: int, hidden: list[str], kept: str) -> None:
    line = seed(4).splitlines()[number - 1]
    found = [line[start:end] for start, end in furniture(line)]
    assert found == hidden
    assert kept in line
    assert all(kept not in part for part in found if kept)


def test_the_seeds_hold_no_other() -> None:
    found = [
        (document, number)
        for document in range(5)
        for number, line in enumerate(seed(document).splitlines(), start=1)
        if furniture(line)
    ]
    assert found == [(4, 16), (4, 66), (4, 105)]


@given(st.text(alphabet="字体:大 中小[]阅读12次转载.com版权所有请勿本文,。!", max_size=60))
def test_spans_are_in_order_and_apart(line: str) -> None:
    spans = furniture(line)
    assert all(0 <= start < end <= len(line) for start, end in spans)
    assert all(left[1] < right[0] for left, right in zip(spans, spans[1:], strict=False))
