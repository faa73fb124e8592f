from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.fold import fold_text
from index.passages import clean, split
from index.types import Section
from tests.conftest import seed


def matching_text(text: str, section: Section) -> str:
    return fold_text(clean(text[section.start : section.end], section.start, section.hidden))


def holding(number: int, phrase: str) -> list[Section]:
    text = seed(number)
    return [section for section in split(text) if phrase in text[section.start : section.end]]


@pytest.mark.parametrize(
    ("number", "titles"),
    [
        (0, ["努力开创兰州工会工作新局面", "引导全市职工为兰州发展做贡献", "兰州市总工会改革发展纪实"]),
        (1, ["辽宁省阜新市总工会", "确立桥港时代思维"]),
        (2, ["武威市总工会"]),
        (3, ["甘肃工会工作创新发展纪实"]),
        (4, ["XX市總工會十二屆五次", "在市總工會十二屆五次", "區總工會十二屆六次", "市總工會2019年", "姜堰市總工會"]),
    ],
)
def test_articles_of_a_file_are_told_apart(number: int, titles: list[str]) -> None:
    found = {section.article: section.title for section in split(seed(number))}
    assert len(found) == len(titles)
    assert all(title in found[article] for article, title in enumerate(titles))


@pytest.mark.parametrize("number", range(5))
def test_every_visible_character_lies_in_exactly_one_passage(number: int) -> None:
    text = seed(number)
    seen = [0] * len(text)
    for section in split(text):
        assert 0 < section.end - section.start < 450
        for position in range(section.start, section.end):
            seen[position] += 1
    assert all(count == 1 or (count == 0 and char.isspace()) for char, count in zip(text, seen, strict=True))


@pytest.mark.parametrize("number", range(5))
def test_no_passage_crosses_articles(number: int) -> None:
    text = seed(number)
    for section in split(text):
        inside = text[section.start + 1 : section.end]
        assert "第二篇:" not in inside
        assert "第五篇:" not in inside
        assert "# 确立桥港" not in inside[2:]


@pytest.mark.parametrize(
    ("number", "joined"),
    [
        (0, "继续解放思想,推动科学发展"),
        (0, "稳定职工队伍和促进社会和谐中多做贡献"),
        (1, "中国特色社会主义理论凝聚职工群众"),
        (1, "阜新经济总量不足"),
        (1, "坚持组织开展“市长杯”职工技能大赛"),
        (1, "着力打响“工人先锋号”品牌"),
        (1, "开展“十佳金子”、连续3年开展"),
        (3, "造成生活困难的职工"),
        (4, "各级工会在市委的坚强领导下"),
        (4, "平等协商集体合同制度"),
        (4, "加大协调劳动关系的工作力度"),
        (4, "刚才,李顺根同志"),
        (4, "为“和谐海陵”建设奠定坚实基础"),
        (4, "当好主人翁建功新时代"),
        (4, "下岗失业职工在创业主战场上建功立业"),
        (4, "要深入推进和蓬勃发展"),
    ],
)
def test_sentences_cut_by_the_page_are_joined_for_matching(number: int, joined: str) -> None:
    text = seed(number)
    assert any(joined in matching_text(text, section) for section in split(text))


@pytest.mark.parametrize(
    ("number", "phrase"),
    [
        (0, "全国著名劳动模范王巴才"),
        (0, "兰州市委书记 陆武成"),
        (0, "兰州市委常委段英茹"),
        (3, "□康劲 冯继波 王小虎"),
        (3, "陇西报告会会场"),
        (4, "趙國慶"),
        (4, "添加時間:2004-4-23 17:37:22"),
    ],
)
def test_captions_and_bylines_are_kept(number: int, phrase: str) -> None:
    assert holding(number, phrase)


def test_headings_stand_above_their_text_only() -> None:
    (aid,) = {section.heading_path for section in holding(0, "帮助1097名困难家庭子女")}
    assert aid == ("拓展领域,真情服务",)
    (next_part,) = {section.heading_path for section in holding(0, "市总工会加大工会干部的协管力度")}
    assert next_part == ("与时俱进,开拓创新",)
    (caption,) = holding(3, "镇原县总工会联合县人社局")
    assert all("镇原县" not in heading for section in split(seed(3)) for heading in section.heading_path)
    assert caption.heading_path[0].startswith("站在经济转型")


def test_a_heading_at_the_end_of_a_paragraph_belongs_to_the_next() -> None:
    (section,) = [s for s in holding(4, "幫職工維權、為職工服務既是工會的基本職能")]
    assert section.heading_path == ("第三、提供職工維權服務有新提升",)


def test_markdown_headings_nest() -> None:
    text = "# Guide\n\nIntro text here.\n\n## Install\n\nRun it.\n\n### Linux\n\nUse apt.\n\n## Use\n\nAsk away.\n"
    paths = {text[s.start : s.end].splitlines()[-1]: (s.title, s.heading_path) for s in split(text)}
    assert paths["Use apt."] == ("Guide", ("Install", "Linux"))
    assert paths["Ask away."] == ("Guide", ("Use",))


def test_wrapped_paragraphs_are_one_passage() -> None:
    text = (
        "The centre was founded in the year two thousand and two, and it has\n"
        "helped many workers since then with money, with advice and with new\n"
        "jobs. It is open every day. It charges nothing for any of its many\n"
        "services.\n\nA second paragraph follows here.\n"
    )
    sections = split(text)
    assert [text[s.start : s.end].split()[0] for s in sections] == ["The", "A"]
    assert "with new jobs" in matching_text(text, sections[0])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_do_not_matter(end: str) -> None:
    unix = seed(1)
    text = unix.replace("\n", end)
    assert [s.paragraph for s in split(text)] == [s.paragraph for s in split(unix)]


@given(st.text(alphabet="工会兰州第一篇章。,:;#(二)—\n\r 1a.", max_size=300))
def test_any_text_can_be_split(text: str) -> None:
    sections = split(text)
    covered = {position for section in sections for position in range(section.start, section.end)}
    assert all(char.isspace() or position in covered for position, char in enumerate(text))
    for section in sections:
        assert text[section.start : section.end].strip()
        assert all(section.start <= start <= end <= section.end for start, end in section.hidden)
