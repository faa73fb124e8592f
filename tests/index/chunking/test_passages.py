from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.chunking.passages import clean, split
from index.text.fold import fold_text
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


@pytest.mark.parametrize(
    ("phrase", "heading"),
    [
        ("發揮X“X”產業優勢", "一是緊扣主題,以職工技能競賽引領廣大職工崗位練兵。"),
        ("積極開展創建勞模創新工作室", "二是擴面提質,深入實施職工技術創新工程。"),
        ("加強與教育、人社等部門協作聯動", "三是多措并舉,大力提升產業工人素質。"),
        ("要擔起省總對X工會寄予的厚望", "四是找準定位,助力X協同發展區建設。"),
        ("幫職工維權、為職工服務既是工會的基本職能", "第三、提供職工維權服務有新提升"),
        ("要堅決完成百人以上企業的普遍建會任務", "一是聚焦難點,建會要明顯突破。"),
        ("要將是否建立勞動法律監督委員會", "二是注重實效,建家要日益規范。"),
        ("指導和推動企事業單位民主管理工作", "三是立足規范,建制要持續完善。"),
        ("繼續深化工會改革", "四是抓住重點,自身建設要有力推進。"),
    ],
)
def test_a_heading_at_the_end_of_a_paragraph_belongs_to_the_next(phrase: str, heading: str) -> None:
    (section,) = holding(4, phrase)
    assert section.heading_path[-1] == heading


@pytest.mark.parametrize(
    ("number", "phrase"),
    [
        (1, "制度,实行\n\n民营企业跻身"),
        (3, "实施系\n\n难帮扶"),
        (3, "活动和困\n\n经济组织"),
        (1, "“五送三百”活\n\n##"),
    ],
)
def test_lines_with_text_missing_between_lie_in_two_passages(number: int, phrase: str) -> None:
    assert phrase in seed(number)
    assert not holding(number, phrase)


@pytest.mark.parametrize(
    ("number", "phrase", "known"),
    [
        (4, "1-3月份,實現地區生產總值", {"2004年4月22日", "2004-4-23", "赵国庆"}),
        (4, "剛過,區總工會在此召開", {"2006年1月11日", "叶海波", "海陵"}),
        (4, "預計全市實現地區生產總值2350億元", {"2006年1月12日", "市委常务副书记 邓川"}),
        (4, "城際間維權聯動機制,在全國", {"四川"}),
        (4, "積極開展創建勞模創新工作室", {"2019年"}),
        (0, "要牢牢把握工会工作的政治方向", {"甘肃省委常委、兰州市委书记 陆武成"}),
        (0, "要立足于发挥服务群众的作用", {"甘肃省政协副主席、兰州市市长 张津梁"}),
        (1, "今年5月,横跨长江天堑", {"南通市人大副主任、南通市总工会主席 陆玉明"}),
        (3, "紧紧围绕建设“丝绸之路经济带”", {"□康劲 冯继波 王小虎"}),
    ],
)
def test_dates_names_and_places_travel_with_every_passage(number: int, phrase: str, known: set[str]) -> None:
    (section,) = holding(number, phrase)
    assert set(section.context) == known


def test_a_signature_names_an_article_without_a_title() -> None:
    (section,) = holding(2, "资助困难学生2436人")
    assert section.title == "武威市总工会"


@pytest.mark.parametrize(
    ("phrase", "hidden"),
    [
        ("及時發現和化解不穩定因素", "原創文秘材料"),
        ("履職盡責\n擔當作為", "請勿照搬"),
        ("添加時間:2004-4-23", "字體:大 中 小"),
    ],
)
def test_furniture_is_set_aside_from_matching_and_stays_in_the_text(phrase: str, hidden: str) -> None:
    (section,) = holding(4, phrase)
    text = seed(4)
    assert hidden in text[section.start : section.end]
    assert fold_text(hidden) not in matching_text(text, section)
    assert fold_text(phrase) in matching_text(text, section)


@pytest.mark.parametrize("words", ["2.04万份", "213场(次)", "109.2万人次"])
def test_spaces_round_numbers_do_not_matter(words: str) -> None:
    text = seed(3)
    assert any(words in matching_text(text, section) for section in split(text))


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


_PARTS = [
    "工会帮扶职工,发放慰问金。",
    "推动科",
    "学发展的要求",
    "一是抓好生产。",
    "第一篇:讲话",
    "(2004年4月22日)",
    "王小明",
    "某市总工会",
    "[字体:大 中 小]",
    "- 12 -",
    "版权所有 翻印必究",
    "# 标题",
    "exam-",
    "ple text that goes on",
    "同志们:",
    "一、",
    "。",
    "   ",
    "X" * 400,
    "年" * 320,
]


@given(
    st.one_of(
        st.text(alphabet="工会兰州第一篇章。,:;#(二)—\n\r 1a.", max_size=300),
        st.lists(st.sampled_from(_PARTS), max_size=25).map("\n".join),
        st.lists(st.sampled_from(_PARTS), max_size=12).map("".join),
    )
)
def test_any_text_can_be_split(text: str) -> None:
    sections = split(text)
    seen = [0] * len(text)
    for section in sections:
        seen[section.start : section.end] = [count + 1 for count in seen[section.start : section.end]]
    assert all(count == 1 or (count == 0 and char.isspace()) for char, count in zip(text, seen, strict=True))
    assert sections == sorted(sections, key=lambda section: section.start)
    for section in sections:
        shown = text[section.start : section.end]
        assert shown.strip()
        assert len(clean(shown, section.start, section.hidden)) == len(shown)
        bounds = [section.start, *(edge for span in section.hidden for edge in span), section.end]
        assert bounds == sorted(bounds)
