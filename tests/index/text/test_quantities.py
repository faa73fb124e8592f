from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from index.text.fold import fold_text
from index.text.quantities import counts_in, number, quantities


def found(text: str) -> list[tuple[str, str, str, float | None]]:
    return [(quantity.text, quantity.kind, quantity.unit, quantity.value) for quantity in quantities(fold_text(text))]


@pytest.mark.parametrize(
    ("text", "quantity"),
    [
        ("１２３人", ("123人", "count", "人", 123)),
        ("1,234名", ("1,234名", "count", "名", 1234)),
        ("一千二百余人", ("一千二百余人", "count", "人", 1200)),
        ("1.2万人", ("1.2万人", "count", "人", 12_000)),
        ("1.2万", ("1.2万", "count", "", 12_000)),
        ("5.2万人次", ("5.2万人次", "count", "人次", 52_000)),
        ("12件(次)", ("12件(次)", "count", "件(次)", 12)),
        ("2.04 万份", ("2.04万份", "count", "份", 20_400)),
        ("二千三百零五万六千人", ("二千三百零五万六千人", "count", "人", 23_056_000)),
        ("十几个", ("十几个", "count", "个", 10)),
        ("几百人", ("几百人", "count", "人", None)),
        ("七八个", ("七八个", "count", "个", None)),
        ("5至10人", ("5至10人", "count", "人", None)),
        ("120.5万平方米", ("120.5万平方米", "count", "平方米", 1_205_000)),
        ("500毫升", ("500毫升", "count", "毫升", 500)),
        ("額定電壓220V", ("220v", "count", "v", 220)),
        ("大鼓24面", ("24面", "count", "面", 24)),
        ("37.5℃", ("37.5°c", "count", "°c", 37.5)),
        ("电话0931-8812345", ("0931-8812345", "count", "", None)),
        ("1,234 students", ("1,234", "count", "", 1234)),
        ("260多万元", ("260多万元", "money", "元", 2_600_000)),
        ("3亿2000万元", ("3亿2000万元", "money", "元", 320_000_000)),
        ("3000—5000元", ("3000—5000元", "money", "元", None)),
        ("$2.5 million", ("$2.5 million", "money", "", 2_500_000)),
        ("￥300", ("¥300", "money", "", 300)),
        ("45%", ("45%", "share", "", 45)),
        ("80% 以上", ("80% 以上", "share", "", 80)),
        ("百分之三十", ("百分之三十", "share", "", 30)),
        ("百分之八十五点五", ("百分之八十五点五", "share", "", 85.5)),
        ("四分之三", ("四分之三", "share", "", 75)),
        ("七成", ("七成", "share", "", 70)),
        ("两年半", ("两年半", "duration", "年半", 2)),
        ("5个工作日", ("5个工作日", "duration", "个工作日", 5)),
        ("24小时以内", ("24小时以内", "duration", "小时", 24)),
        ("第十一次", ("第十一次", "ordinal", "次", 11)),
        ("前三名", ("前三名", "ordinal", "名", 3)),
    ],
)
def test_quantity(text, quantity):
    assert found(text) == [quantity]
    assert found(f"其中,{text}。") == [quantity]


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("二〇一九年", "二〇一九年"),
        ("2004-4-23", "2004-4-23"),
        ("2004/4/23 10:30", "2004/4/2310:30"),
        ("去年4月底", "去年4月底"),
        ("２０１９年３月５日", "2019年3月5日"),
        ("三月五日", "三月五日"),
        ("2004-2008年", "2004-2008年"),
        ("1384年", "1384年"),
        ("公元前221年", "公元前221年"),
        ("民國二十六年七月七日", "民国二十六年七月七日"),
        ("康熙二十三年", "康熙二十三年"),
        ("贞观元年", "贞观元年"),
        ("20世纪80年代", "20世纪80年代"),
        ("九十年代初", "九十年代初"),
        ("March 3, 2004", "march 3, 2004"),
        ("3 March 2004", "3 march 2004"),
        ("June 1998", "june 1998"),
        ("in 1998", "1998"),
    ],
)
def test_date(text, date):
    ((text_found, kind, _, value),) = found(text)
    assert (text_found.replace(" ", ""), kind, value) == (date.replace(" ", ""), "date", None)


@pytest.mark.parametrize("text", ["上午8点", "下午5点30分", "8点半", "17:30", "9时15分"])
def test_time_of_day(text):
    assert found(f"于{text}开门") == [(text, "time", "", None)]


@pytest.mark.parametrize(
    ("text", "kind"),
    [("一千三百年", "duration"), ("二百五十年", "duration"), ("距今1300年", "duration"), ("2年内", "duration")],
)
def test_spans_of_years_are_no_dates(text, kind):
    assert [quantity[1] for quantity in found(text)] == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "ISO9000认证",
        "一是加强领导,二是改进作风",
        "十一五期间",
        "五一劳动节",
        "三八妇女节",
        "三个代表重要思想",
        "四个全面",
        "G20峰会",
        "A4纸",
        "COVID-19",
        "千方百计",
        "万一",
        "一些",
        "一定",
        "一方面",
        "十分重要",
        "一起学习",
        "一次性",
        "一度",
        "一把手",
        "一线工人",
        "五星级",
        "十八大",
        "四川",
        "五粮液",
        "星期一",
        "九一八",
        "两会",
        "三农",
        "三十而立",
        "1.2.3版",
        "下半年",
        "万人空巷",
        "",
        "。",
        "the one and only",
    ],
)
def test_no_quantity(text):
    assert found(text) == []


def test_every_quantity_of_a_sentence():
    text = "帮助1097名困难家庭子女圆了大学梦,发放助学金260多万元,其中200名学生得到了连续两年的资助"
    assert [quantity[:2] for quantity in found(text)] == [
        ("1097名", "count"),
        ("260多万元", "money"),
        ("200名", "count"),
        ("两年", "duration"),
    ]


CHARS = "0123456789,.-~:/%$ 零〇一二三四五六七八九十百千万亿两几多余年月日个名人元第前半分之成起点次至到约vkgmay，。\n"


@given(st.one_of(st.text(max_size=60), st.text(alphabet=CHARS, max_size=60)))
@example("公元前" + "九" * 50)
def test_spans_point_at_the_text_and_never_overlap(text):
    folded = fold_text(text)
    end = 0
    for quantity in quantities(folded):
        assert quantity.span[0] >= end
        assert quantity.span[0] < quantity.span[1] <= len(folded)
        end = quantity.span[1]
        assert folded[slice(*quantity.span)] == quantity.text
        assert quantity.unit in quantity.text


@given(st.text(alphabet=CHARS, max_size=30))
def test_number_takes_any_text(text):
    assert (value := number(text)) is None or value >= 0


def in_chinese(value: int) -> str:
    """A number up to 99,999,999 as it is read aloud."""
    if value >= 10_000:
        upper, lower = divmod(value, 10_000)
        gap = "零" if 0 < lower < 1000 else ""
        return in_chinese(upper) + "万" + gap + (in_chinese(lower) if lower else "")
    text = ""
    for scale, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit, value = divmod(value, scale)
        if digit:
            text += "零一二三四五六七八九"[digit] + name
        elif text and value and not text.endswith("零"):
            text += "零"
    return text


@given(st.integers(min_value=1, max_value=99_999_999))
@example(10).via("a scale alone")
@example(20_305_006)
@example(10_010_010)
def test_number_reads_chinese_and_arabic_numerals(value):
    assert number(str(value)) == value
    assert number(f"{value:,}") == value
    assert number(in_chinese(value)) == value
    assert number(in_chinese(value).removeprefix("一") if 10 <= value < 20 else in_chinese(value)) == value


@given(st.integers(min_value=1, max_value=99_999_999))
def test_numerals_stand_in_a_sentence(value):
    for numeral in (str(value), f"{value:,}", in_chinese(value)):
        ((text, kind, unit, read),) = found(f"共有{numeral}人参加。")
        assert (text, kind, unit, read) == (f"{numeral}人", "count", "人", value)


@pytest.mark.parametrize("text", ["", "人", "abc", "几百人", "-5", "万"])
def test_no_number(text):
    assert number(text) is None


@pytest.mark.parametrize(
    ("asked", "unit", "fits"),
    [
        ("名", "人次", True),
        ("人", "名", True),
        ("个", "家", True),
        ("个", "人", True),
        ("次", "场", True),
        ("天", "日", True),
        ("家", "个", True),
        ("名", "家", False),
        ("个", "吨", False),
        ("米", "米", True),
        ("个", "", False),
    ],
)
def test_units_of_a_family_fit_each_other(asked, unit, fits):
    assert counts_in(asked, unit) is fits


@pytest.mark.parametrize(
    ("text", "kind", "value", "unit"),
    [
        ("22 days of leave", "duration", 22, "天"),
        ("after five years", "duration", None, "年"),
        ("年满十八周岁", "count", 18, "周岁"),
        ("午前9时から", "time", None, ""),
    ],
)
def test_other_languages(text, kind, value, unit):
    found = quantities(text)
    assert [(q.kind, q.unit) for q in found] == [(kind, unit)]
    assert value is None or found[0].value == value
