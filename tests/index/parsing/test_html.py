from __future__ import annotations

from pathlib import Path

import pytest

from index.parsing import read
from tests.index.parsing.samples import TEXTS, make_html

PAGE = Path("page.html")


def text_of(page: str) -> str:
    return read(PAGE, page.encode()).text


def test_title_headings_and_paragraphs():
    page = make_html(["# 一次发布会", "## 背景", TEXTS[0]], "一次发布会 - 某某网")
    assert read(PAGE, page).text == f"# 一次发布会\n\n## 背景\n\n{TEXTS[0]}"


def test_a_page_without_heading_opens_with_its_title():
    assert text_of(f"<title>工会工作报告_某某新闻网</title><p>{TEXTS[0]}") == f"# 工会工作报告\n\n{TEXTS[0]}"


def test_furniture_is_left_out():
    links = "".join(f"<li><a href=x>{name}</a>" for name in ("首页", "新闻", "视频"))
    page = f"""<body><nav>导航</nav><div id=menu><ul>{links}</ul></div>
    <script>var x = "脚本";</script><style>p {{}}</style>
    <article><header><h1>题目</h1></header><p>{TEXTS[0] * 3}</p></article>
    <aside>广告</aside><p style="display: none">看不见</p><footer>版权所有</footer></body>"""
    assert text_of(page) == f"# 题目\n\n{TEXTS[0] * 3}"


def test_a_page_of_links_keeps_them():
    assert "年度报告" in text_of("<ul>" + "<li><a href=x>年度报告</a>" * 5 + "</ul>")


def test_inline_marks_and_comments_do_not_cut_words():
    assert text_of("<p>总<b>工</b><!-- 注 -->会<span>　帮扶</span>中心</p>") == "总工会　帮扶中心"


def test_line_breaks_and_lists_stay_lines():
    assert text_of("<p>甲<br>乙<br><br>丙<ul><li>一<li>二</ul>") == "甲\n乙\n\n丙\n\n一\n二"


def test_several_first_headings_are_below_the_title():
    assert text_of("<h1>甲</h1><p>文</p><h1>乙</h1>") == "## 甲\n\n文\n\n## 乙"


def test_tables_name_their_columns():
    rows = "<tr><th>县区<th>建会数<tr><td>城关区<td>213"
    found = read(PAGE, f"<p>正文。</p><table><caption>表1 建会情况</caption>{rows}</table>".encode())
    assert found.text.endswith("表1 建会情况\n\n县区：城关区，建会数：213。")
    (caption,) = found.captions
    assert (caption.text, found.text[caption.start : caption.end]) == ("表1 建会情况", "县区：城关区，建会数：213。")


def test_a_table_for_layout_is_text():
    page = f"<table><tr><td>{TEXTS[0] * 10}</td><td>{TEXTS[1]}</td></tr><tr><td>三</td></tr></table>"
    assert text_of(page).split("\n\n") == [TEXTS[0] * 10, TEXTS[1], "三"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb2312", "gbk", "utf-16"])
def test_encodings(encoding):
    assert TEXTS[0] in read(PAGE, make_html(encoding=encoding)).text


def test_an_encoding_that_lies_is_not_believed():
    page = make_html(encoding="gb18030").replace(b"'gb18030'", b"'utf-8'")
    assert TEXTS[0] in read(PAGE, page).text


def test_no_declaration_is_needed():
    assert read(PAGE, f"<p>{TEXTS[0]}</p>".encode("gb18030")).text == TEXTS[0]


def test_characters_that_cannot_be_stored_are_not():
    assert text_of("<p>工&#xD800;&#0;会&#12;员</p>").isprintable()
