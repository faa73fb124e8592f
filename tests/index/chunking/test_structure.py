"""Structure of invented documents of other kinds than the seeds."""

from __future__ import annotations

import pytest

from index.chunking.passages import clean, split
from index.chunking.structure import Heading, headings, pages, paragraphs
from index.types import Section
from tests.conftest import seed
from tests.index.chunking.test_passages import matching_text

_NOTICE = """关于做好防汛工作的通知
青政发〔2021〕15号

各乡镇人民政府,县直各部门、各直属机构:

入汛以来,我县降雨明显偏多,防汛形势十分严峻,各单位要提高认识,压实责任,严格执行值班制度。为做好防汛工作,现通知如下。

一、总体要求

(一)基本原则。坚持预防为主、防抗结合,坚持统一指挥、分级负责,坚持依靠科学、群防群治,确保人民群众生命财产安全。

1.落实责任。各乡镇要成立防汛指挥机构,主要负责同志任指挥长,层层签订责任书,把任务落实到村、落实到组、落实到人。

(此件公开发布)

青河县人民政府
2021年6月8日

附件:1.物资储备表

县城储备编织袋三万条、救生衣五百件,各乡镇按照人口和险段长度分别储备,具体数量由水务部门核定后下达并检查。
"""
_SPEECHES = """在春季运动会上的讲话
王小明
2021年4月2日

老师们、同学们,今天我们在这里举行春季运动会,希望大家发扬拼搏精神,遵守比赛纪律,赛出风格,赛出水平,安全第一。

校长办公室
2021年4月2日

在毕业典礼上的讲话
李大华
2022年7月1日

去年我们送走了第一届毕业生,今年又有二百名同学完成学业走向社会,学校为你们感到骄傲,也祝愿你们前程似锦,一路顺风。
"""
_ITEMS = """一、重点任务
一是抓好生产,确保粮食丰收。
各乡镇要落实种植面积,推广优良品种,搞好技术指导,确保全年粮食总产稳定在三十万吨以上,农民收入有所增加。二是抓好流通,搞活农村市场。
要完善农产品批发市场和冷链物流体系,扶持农民专业合作社,引导龙头企业与农户签订购销合同,解决卖难问题。三是抓好改革,激发内在活力。
稳步推进土地流转,培育家庭农场和种养大户,健全农业社会化服务体系,让农民更多分享产业链增值的收益。
"""
_REPORT = """1. Introduction

The survey covered all regional offices and was finished in spring, with exam-
ples taken from each of them and checked by the long-
term planning group before the final report was sent.

1.1 Scope

Only permanent staff were asked. The answers of the others will follow in a sepa-
rate report, which the long-term planning group will publish.
Page 3 of 12
1.1.1 Method

All answers were read twice, by people who did not know each other, and scored on a scale.
"""
_COLUMN = """　　昨日上午,县里召开了春耕生
产工作会议,会议要求各乡镇抓紧做
好种子化肥的调运工作,确保不误农
时。
　　会议还强调,要加强田间管理,
及时防治病虫害,力争全年粮食再获
丰收。
"""


def shown(text: str, phrase: str) -> Section:
    (section,) = [section for section in split(text) if phrase in text[section.start : section.end]]
    return section


def test_a_government_document() -> None:
    assert {(section.article, section.title) for section in split(_NOTICE)} == {(0, "关于做好防汛工作的通知")}
    assert shown(_NOTICE, "成立防汛指挥机构").heading_path == ("一、总体要求",)
    assert shown(_NOTICE, "编织袋").heading_path == ("附件:1.物资储备表",)
    context = shown(_NOTICE, "编织袋").context
    assert context == ("青政发〔2021〕15号", "青河县人民政府", "2021年6月8日")


def test_a_signature_ends_an_article_and_a_title_block_begins_one() -> None:
    sections = split(_SPEECHES)
    assert [title for _, title in sorted({(s.article, s.title) for s in sections})] == [
        "在春季运动会上的讲话",
        "在毕业典礼上的讲话",
    ]
    assert shown(_SPEECHES, "校长办公室").article == 0
    assert shown(_SPEECHES, "二百名同学").context == ("李大华", "2022年7月1日")
    assert shown(_SPEECHES, "发扬拼搏").context == ("王小明", "2021年4月2日", "校长办公室")


def test_items_at_the_end_of_the_paragraph_above_head_their_own_text() -> None:
    assert shown(_ITEMS, "落实种植面积").heading_path[-1] == "一是抓好生产,确保粮食丰收。"
    assert shown(_ITEMS, "批发市场").heading_path[-1] == "二是抓好流通,搞活农村市场。"
    assert shown(_ITEMS, "土地流转").heading_path[-1] == "三是抓好改革,激发内在活力。"


@pytest.mark.parametrize(
    "text",
    [
        "会议提出三点要求。一是抓学习。二是抓落实。三是抓检查。\n各单位要按照上述要求认真组织实施,并于月底前将实施情况书面报送办公室汇总,由办公室统一上报。",
        "一是抓学习。\n二是抓落实。\n三是抓检查。\n各单位要按照上述要求认真组织实施,并于月底前将实施情况书面报送办公室汇总,由办公室统一上报。",
    ],
)
def test_items_that_are_the_text_are_no_headings(text: str) -> None:
    assert all(paragraph.level is None for paragraph in paragraphs(text))


def test_an_english_report() -> None:
    sections = split(_REPORT)
    assert {section.title for section in sections} == {"1. Introduction"}
    text = " ".join(matching_text(_REPORT, section) for section in sections)
    assert "with examples taken" in text
    assert "long-term planning group before" in text
    assert "in a separate report" in text
    assert "page 3" not in text
    assert shown(_REPORT, "read twice").heading_path == ("1.1 Scope", "1.1.1 Method")


def test_a_narrow_column() -> None:
    found = paragraphs(_COLUMN)
    assert [clean(p.text, p.start, p.hidden).replace("\u2060", "") for p in found] == [
        "昨日上午,县里召开了春耕生产工作会议,会议要求各乡镇抓紧做好种子化肥的调运工作,确保不误农时。",
        "会议还强调,要加强田间管理,及时防治病虫害,力争全年粮食再获丰收。",
    ]


def test_short_lines_without_sentences_are_no_column() -> None:
    text = "青河县第一中学教务处\n青河县第二中学教务处\n青河县第三中学教务处\n"
    assert len(paragraphs(text)) == 3


def test_a_page_number_inside_a_sentence_goes_with_it() -> None:
    text = (
        "本年度共完成维修改造工程二十四项,涉及居民一千三百户,居民对工程质量表示满意,有关部门将继续推\n\n- 12 -\n\n"
        "进老旧小区改造工作,力争明年全部完成。\n"
    )
    (section,) = split(text)
    assert "继续推进老旧小区" in matching_text(text, section)
    assert "12" not in matching_text(text, section)


def test_furniture_alone_is_no_passage_of_its_own() -> None:
    text = "[打印] [关闭]\n\n县里新建了三座桥。\n\n第 1 页 共 2 页\n\n版权所有 违者必究\n"
    (section,) = split(text)
    assert (section.start, section.end) == (0, len(text) - 1)
    assert matching_text(text, section).strip() == "县里新建了三座桥。"


def test_japanese() -> None:
    text = (
        "# 令和5年度事業報告\n\n作成日:令和5年4月1日\n\n1. 概要\n\n"
        "本年度は、組合員の福利厚生の充実を目的として各種事業を実施した。参加者は延べ三百名であり、前年度と比べて大幅に増加し\n\n"
        "ている。\n"
    )
    section = shown(text, "三百名")
    assert "増加している" in text[section.start : section.end].replace("\n", "")
    assert section.hidden
    assert section.context == ("令和5年4月1日",)


def test_front_matter_of_markdown() -> None:
    text = "# Guide\n\nBy Ann Lee\n\n12 March 2021\n\n## Setup\n\nRun it now, and then wait for the light to come on.\n"
    section = shown(text, "Run it")
    assert (section.title, section.heading_path) == ("Guide", ("Setup",))
    assert section.context == ("by ann lee", "12 march 2021")


def section(start: int, title: str = "甲", path: tuple[str, ...] = (), article: int = 1, **more: object) -> Section:
    return Section(article, title, path, more.pop("page", None), 1, start, start + 5, **more)  # type: ignore[arg-type]


def test_titles_and_headings_stand_where_the_text_has_them():
    text = "甲\n一、起\n甲乙丙丁戊\n(一)承\n甲乙丙丁戊\n二、转\n甲乙丙丁戊\n乙\n甲乙丙丁戊"
    body = [place for place in range(len(text)) if text.startswith("甲乙丙丁戊", place)]
    paths = [("一、起",), ("一、起", "(一)承"), ("二、转",), ()]
    sections = [section(s, "乙" if n == 3 else "甲", paths[n], n // 3) for n, s in enumerate(body)]
    found = list(headings(sections, text))
    assert [(h.title, h.level) for h in found] == [("甲", 0), ("一、起", 1), ("(一)承", 2), ("二、转", 1), ("乙", 0)]
    assert all(text.startswith(h.title, h.start) for h in found)
    assert [h.start for h in found] == sorted(h.start for h in found)


def test_a_heading_comes_again_when_another_article_has_it():
    sections = [section(0, "甲", ("一",), 1), section(9, "乙", ("一",), 2)]
    assert [h.title for h in headings(sections, "x" * 20)] == ["甲", "一", "乙", "一"]


def test_what_is_not_in_the_text_is_put_at_its_passage():
    assert list(headings([section(4, "无此题", page=3)], "abcdefghi")) == [Heading("无此题", 0, 4, 3)]
    assert list(headings([section(4, "")], "abcdefghi")) == []
    assert list(headings([], "")) == []


def test_pages_begin_where_they_are_first_met():
    sections = [section(0, page=1), section(5, page=1, page_breaks=(8,)), section(10, page=2), section(20, page=4)]
    assert pages(sections) == [(1, 0), (2, 8), (4, 20)]
    assert pages([section(0)]) == []


def test_outline_of_a_seed():
    text = seed(2)
    found = list(headings(split(text), text))
    assert "聚焦政治引领 筑牢思想根基" in [h.title for h in found]
    assert all(text.startswith(h.title.split()[0], h.start) for h in found if h.level)
