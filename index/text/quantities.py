"""Numbers, sums, dates and shares in folded text, Chinese and Western, with what they count.

Works on folded text (`index.text.fold`): full-width digits, Traditional characters and stray spaces are already gone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from index.text.dates import DAY_OF_MONTH, ERAS, HAN_YEAR, MODERN_YEAR, MONTH_NAME, MONTH_OR_DAY, NUMERIC_DATE, YEAR
from index.text.scripts import DIGIT_VALUES, ENGLISH_NUMBER, HAN, HAN_DIGITS, HAN_NUMERALS, SCALE_VALUES, ZEROS
from index.types import Span

Kind = Literal["count", "money", "share", "date", "time", "duration", "ordinal"]

_ARABIC_DIGITS = "0123456789"


def _any(*alternatives: str) -> str:
    return "|".join(alternatives)


# Longer runs of digits are codes, not numbers. The bound, and that no digit is given back once it is read (`+` behind
# a repetition), keep a flood of digits from being read again and again.
_RUN = "{1,40}+"
_ARABIC = f"[0-9]{_RUN}(?:,[0-9]{{3}}){{0,8}}+(?:\\.[0-9]{_RUN})?+"
_DIGITS_OR_HAN = f"(?:{_ARABIC}|[几数][十百千]{_RUN}|[{HAN_NUMERALS}]{_RUN})"
# 3亿2000万, 二千三百万六千: a larger scale inside a number, something behind it.
_NUMBER = f"(?:{_DIGITS_OR_HAN}(?:[万亿]{_DIGITS_OR_HAN}){{0,4}})"
_MORE = "[多余来几]"
_SCALED = f"{_NUMBER}{_MORE}?[万亿]{{0,4}}{_MORE}?"
_LATER = "(?: ?(?:以上|以下|左右|以内|多))?"
_TO = " ?(?:-|~|–|—{1,2}|至|到) ?"
_RANGE = f"(?:{_NUMBER}[万亿]?{_TO}(?={_NUMBER}))?"

MONEY_UNITS = "元|块钱|块|美元|欧元|港元|人民币|日元|英镑"
COUNT_UNITS = (
    "人次|人|名|位|口|个百分点|个|家|户|件\\(次\\)|件|项|场次|场\\(次\\)|场|次|期|篇|份|条|种|类|所|座|间|台|辆|套|本|部门|部"
    "|起|宗|例|支|批|届|班次|班|对|只|头|株|棵|亩|公顷|公里|千米|平方公里|平方米|立方米|米|厘米|毫米|吨|公斤|千克|毫克|克"
    "|毫升|升(?![级至到高任职旗])|岁|层|级|档|处|回|趟|遍|张|幅|册|枚|艘|架|列|节|门|道|点|分|秒|页|字|句|首|面(?![积对向临前上下子试貌部料条粉包])|颗|块|片|粒|根|栋|幢|桌|席"
    "|斤|盏|双(?![方向边休语重轨拥创])|箱|袋|瓶|盒|桶|卷|集(?![中体合团成聚资结])|款|匹|尾|朵|具(?![有体备])|平米|海里|英里|学时|课时"
    "|票|倍|周岁|摄氏度|度|千瓦时|千瓦|瓦|伏|万|亿"
)
_LATIN_UNITS = "kwh|kw|kg|mg|ml|km|cm|mm|gb|mb|tb|kb|mah|ah|khz|mhz|ghz|hz|mpa|kpa|rpm|db|°c|°f|v|w|l|m|g"
_PEOPLE = frozenset("人次 人 名 位 口".split())
_THINGS = frozenset("个 项 件 件(次) 条 份 篇 种 类 部 部门 套 本 点 处".split())
_EVENTS = frozenset("次 回 场 场次 场(次) 期 届 趟 遍 人次 班次 班".split())
_BODIES = frozenset("个 家 户 所 座 间 处 部门".split())
_UNIT_FAMILIES = (_PEOPLE, _THINGS, _EVENTS, _BODIES, frozenset({"天", "日"}), frozenset({"岁", "周岁"}))
_DURATION_UNITS = (
    "个半?(?:小时|月|星期|学期|季度|工作日|自然日|交易日)|工作日|自然日|年半|年|天半|天|小时|分钟|周|星期|日"
)
_MONTH_DAY = f"{MONTH_OR_DAY}月(?:份|底|初|末|中旬|上旬|下旬|{MONTH_OR_DAY}[日号])?"
_YEAR = f"(?:{MODERN_YEAR}|{HAN_YEAR})"
# Years long past are told from spans of years by what stands around them: 距今1300年, 1500年历史.
_OLD_YEAR = "(?<!距今)(?<!已有)(?<!长达)1[0-8][0-9]{2}年(?!的?历史|以上|左右|之久|[来内间多])"
_ENGLISH_DURATIONS = {"minute": "分钟", "hour": "小时", "day": "天", "week": "周", "month": "月", "year": "年"}
_ENGLISH_SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9}
_ENGLISH_SCALE = " ?(?:million|billion|thousand|hundred)"
_CLOCK = f"[{HAN_NUMERALS}0-9]{{1,3}}[点时]"
_MINUTES = f"(?:[{HAN_NUMERALS}0-9]{{1,3}}分|半|整)"
# The more specific come first: what one has read no later one reads.
_PATTERNS: tuple[tuple[Kind, str], ...] = (
    (
        "date",
        _any(
            f"公元前?{_NUMBER}年(?:{_MONTH_DAY})?",  # 公元前221年
            f"(?:{ERAS})(?:元|{_NUMBER})年(?:{_MONTH_DAY})?",  # 贞观元年, 民国二十三年五月
            f"(?:公元前?)?(?<!第){_NUMBER}世纪"  # 20世纪80年代初
            f"(?:[{HAN_NUMERALS}0-9]{{1,2}}年代)?(?:初期?|末期?|中叶|中期|后期)?",
            f"(?:[0-9]0|[{HAN_DIGITS}][十零])年代(?:初期?|末期?|中期|后期)?",  # 90年代末, 八十年代
        ),
    ),
    ("ordinal", f"(?:第|(?<!午)前){_NUMBER}(?:名|位|届|次|批|个|期|章|条|节|篇)?"),  # 第三届, 前10名
    (
        "date",
        _any(
            f"(?:{_YEAR}年?{_TO})?{_YEAR}年(?:{_MONTH_DAY}|底|初|末|代)?(?![来内间多])",  # 2019年5月3日, 2018-2020年
            f"{_OLD_YEAR}(?:{_MONTH_DAY}|底|初|末)?",  # 1644年初
            # 2024-05-03, 2024/5/3 12:30:00
            f"{NUMERIC_DATE}(?:\\s?[0-9]{{1,2}}:[0-9]{{2}}(?::[0-9]{{2}})?)?",
            f"(?:今|去|前|明|当)年(?:{_MONTH_DAY}|底|初|末)",  # 去年12月, 今年初
            _MONTH_DAY,  # 5月3日, 三月上旬
            f"{DAY_OF_MONTH}\\s(?:of )?{MONTH_NAME}(?:,?\\s{YEAR})?",  # 3rd of may, 2024
            f"{MONTH_NAME}\\s(?:{DAY_OF_MONTH}(?:,?\\s{YEAR})?(?![0-9])|{YEAR})",  # may 3, 2024; may 2024
            f"(?<![0-9.,-])(?:1[5-9]|20)[0-9]{{2}}(?![0-9%-]|[.,][0-9]|[a-z{HAN}])",  # 1949
        ),
    ),
    (
        "time",
        _any(
            f"(?:[上下]午|午[前后]|中午|晚上?|早上?|凌晨){_CLOCK}{_MINUTES}?",  # 下午3点半, 晚上八点
            f"{_CLOCK}{_MINUTES}",  # 9时30分
            "(?<![0-9:])[0-9]{1,2}:[0-9]{2}(?![0-9:])",  # 14:30
        ),
    ),
    (
        "share",
        _any(
            f"(?:{_ARABIC}[%‰]?{_TO})?{_ARABIC}(?:%|‰| ?percent){_LATER}",  # 3%-5%以上
            f"[{HAN_NUMERALS}0-9]{_RUN}分之[{HAN_NUMERALS}0-9点.]{_RUN}{_LATER}",  # 百分之八十五点五
            f"(?<![几数])(?:[{HAN_NUMERALS}]|[0-9.]{_RUN})成(?![为立功员果本就长年交效份绩都语人])",  # 八成
        ),
    ),
    (
        "money",
        _any(
            f"{_RANGE}{_NUMBER}{_MORE}?[万亿千百]{{0,4}}{_MORE}?(?:{MONEY_UNITS}){_LATER}",  # 3-5万元, 两百多块钱
            f"(?:[$€£¥]|\\b(?:rmb|cny|usd|eur)) ?{_ARABIC}[万亿]?(?: ?(?:million|billion|thousand))?",  # $3.5 million
            f"{_ARABIC} ?(?:million|billion)? ?(?:dollars|yuan|euros|pounds)",  # 3 million dollars
        ),
    ),
    (
        "duration",
        _any(
            f"{_RANGE}(?:{_NUMBER}{_MORE}?|(?<![上下])半)(?:{_DURATION_UNITS})"  # 3至5天, 半年
            f"(?![级度份底初月岁]){_LATER}",
            f"\\b(?:{_ARABIC}|an?|one|half an?|{ENGLISH_NUMBER})"  # two weeks, 30-minute
            f"[ -](?:{_any(*_ENGLISH_DURATIONS)})s?\\b",
        ),
    ),
    (
        "count",
        _any(
            "(?<![0-9-])(?:0[0-9]{2,3}-[0-9]{3,4}-?[0-9]{4}(?:-[0-9]{1,5})?"  # 0931-8888888, 400-123-4567
            "|[48]00-[0-9]{3}-?[0-9]{4})(?![0-9])",
        ),
    ),
    (
        "count",
        _any(
            f"{_RANGE}{_SCALED}(?:{COUNT_UNITS}){_LATER}",  # 1097名, 260多万人次, 3-5个
            f"{_ARABIC} ?(?:{_LATIN_UNITS})(?![a-z0-9])",  # 220v, 5 kg
            f"{_ARABIC}[万亿]?(?:{_ENGLISH_SCALE})?",  # 42, 3 million
            f"\\b{ENGLISH_NUMBER}(?:{_ENGLISH_SCALE})?\\b",  # twenty-five thousand
        ),
    ),
)
_COMPILED = tuple((kind, re.compile(pattern)) for kind, pattern in _PATTERNS)
_NUMERAL = re.compile(f"({_NUMBER})({_MORE}?)([万亿千百]{{0,6}})")
_SCALE_NAME = re.compile(" ?(hundred|thousand|million|billion)")
_IS_RANGE = re.compile(f"{_NUMBER}[万亿%‰]?{_TO}{_NUMBER}")
_FRACTION = re.compile(f"([{HAN_NUMERALS}0-9]{_RUN})分之([{HAN_NUMERALS}0-9点.]{_RUN})")
_PREFIX = re.compile("^(?:[第前$€£¥]|rmb|cny|usd|eur)? ?")
_DECIMALS = re.compile("\\.[0-9]")
_UNIT = re.compile(f"(?:{COUNT_UNITS}|{MONEY_UNITS}|{_DURATION_UNITS}|(?<![a-z])(?:{_LATIN_UNITS}))(?={_LATER}$)")
# What looks like a quantity at its first characters and is a word or a slogan.
_IDIOM = re.compile(
    _any(
        "十分(?!钟)",
        f"一起(?![{HAN}]{{0,6}}(?:案|事故|火灾|纠纷))",
        "一次性|一度|一道(?!题|菜|门)|一块(?!钱)|一点|一条龙",
        "百年大计|百分(?!之)|一年一度|十[一二三四五]五|一分为|三言两语|一日三餐",
        "[三五]个(?:代表|一工程)|两个(?:维护|一百年|确立)|四个(?:意识|自信|全面)|[两二三四五六七八九十]位一体|八项规定",
    )
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity in a text.

    `value` is in units: 1.2万 is 12000, and a share is in per cent; None for a date or time, a range, and 几百.
    `unit` is empty for a bare number and a time.
    """

    span: Span
    text: str
    kind: Kind
    unit: str
    value: float | None


@lru_cache(maxsize=8192)
def quantities(folded: str) -> tuple[Quantity, ...]:
    """The quantities of a folded text in order; where two readings overlap, the more specific one is kept.

    Remembered, because question after question reads the same clauses.
    """
    taken = bytearray(len(folded))
    read: list[Quantity] = []
    for kind, pattern in _COMPILED:
        for match in pattern.finditer(folded):
            start, end = match.span()
            if any(taken[start:end]) or _is_word_part(folded, start, end) or _IDIOM.match(folded, start):
                continue
            taken[start:end] = b"1" * (end - start)
            read.append(_quantity(match, kind))
    return tuple(sorted(read, key=lambda quantity: quantity.span))


def number(text: str) -> float | None:
    """The number that a text begins with: 1,234; 1.2万; 一千二百余; 二〇一九. None when there is none, or 几百."""
    match = _NUMERAL.match(text)
    if not match or match[0][0] in "几数":
        return None
    return _numeral(match[1].replace(",", "") + match[3])


def _numeral(text: str) -> float | None:
    """What a numeral without commas stands for, None where it only sketches: 七八 is about seven or eight."""
    if not text:
        return None
    for mark, scale in (("亿", 1e8), ("万", 1e4)):
        if mark in text:
            left, _, right = text.rpartition(mark)
            upper, lower = _numeral(left), _numeral(right or "0")
            return None if upper is None or lower is None else upper * scale + lower
    digits = text.rstrip("十百千") if text[0] in _ARABIC_DIGITS else text
    value = float(digits) if digits[0] in _ARABIC_DIGITS else _han_number(digits)
    if value is not None:
        for scale_char in text[len(digits) :]:
            value *= SCALE_VALUES[scale_char]
    return value


def _quantity(match: re.Match[str], kind: Kind) -> Quantity:
    text = match.group()
    unit_match = _UNIT.search(text)
    unit = unit_match.group() if unit_match and kind != "time" and unit_match.group() not in ("万", "亿") else ""
    if kind == "duration" and not unit:
        unit = next((name for word, name in _ENGLISH_DURATIONS.items() if word in text), "")
    return Quantity(match.span(), text, kind, unit, None if kind in ("date", "time") else _value(text, kind))


def _value(text: str, kind: Kind) -> float | None:
    if _IS_RANGE.match(text):
        return None
    if fraction := _FRACTION.match(text):
        whole, part = number(fraction[1]), _decimal(fraction[2])
        return part / whole * 100 if whole and part is not None else None
    bare = _PREFIX.sub("", text)
    if bare.startswith("半"):
        return 0.5
    value = number(bare)
    if value is not None and (scale := _SCALE_NAME.search(bare)):
        value *= _ENGLISH_SCALES[scale[1]]
    return value * 10 if value is not None and kind == "share" and "成" in text else value


def _decimal(text: str) -> float | None:
    """八十五点五 is 85.5."""
    whole, _, places = text.partition("点")
    value = number(whole)
    if value is None or not places:
        return value
    digits = "".join(str(DIGIT_VALUES[char]) if char in DIGIT_VALUES else char for char in places)
    return float(f"{int(value)}.{digits}") if digits.isdigit() else None


def _is_word_part(folded: str, start: int, end: int) -> bool:
    """Whether a match is a piece of a code, a longer number or an idiom rather than a quantity of its own."""
    before, first, last, after = folded[start - 1 : start], folded[start], folded[end - 1], folded[end : end + 1]
    if first in _ARABIC_DIGITS and before and before.isascii() and (before.isalnum() or before in "._"):
        return True
    if first in _ARABIC_DIGITS and before == "-" and "a" <= folded[max(0, start - 2)] <= "z":
        return True
    if last.isascii() and last.isalnum() and after and after.isascii() and after.isalnum():
        return True
    if last in _ARABIC_DIGITS and _DECIMALS.match(folded, end):
        return True
    return bool(before) and before in HAN_NUMERALS and first in HAN_NUMERALS


def _han_number(text: str) -> float | None:
    if not any(char in SCALE_VALUES for char in text):
        is_sketch = len(text) in (2, 3) and not set(text) & set(ZEROS)
        return None if is_sketch else float("".join(str(DIGIT_VALUES[char]) for char in text))
    total = current = 0
    for char in text:
        if char in DIGIT_VALUES:
            current = DIGIT_VALUES[char]
        else:
            total += (current or 1) * SCALE_VALUES[char]
            current = 0
    return float(total + current)


@lru_cache(maxsize=4096)
def counts_in(asked: str, unit: str) -> bool:
    """Whether a figure in `unit` answers a question that asks in `asked`: 人次 answers 多少名, all answer 多少个."""
    if asked == unit:
        return True
    if asked == "个":
        return unit in _PEOPLE | _THINGS | _BODIES
    return any(asked in family and unit in family for family in _UNIT_FAMILIES)


def differ(one: str, other: str) -> bool:
    """Whether two units surely count different things: 名 and 次 do, 名 and 人 don't, and of 户 and 米 nobody knows."""
    known = all(any(unit in family for family in _UNIT_FAMILIES) for unit in (one, other))
    return known and not counts_in(one, other) and not counts_in(other, one)
