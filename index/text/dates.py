"""What dates are made of in folded text: the fragments that every pattern of a date is built from, once each.

How freely a date may be written is for its readers to say, which look for different things: a line with nothing but a
date on it, dates among quantities, the parts of one, a year or month that a question may swap for another.
"""

from __future__ import annotations

from index.text.scripts import HAN_DIGITS, HAN_NUMERALS

MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
# How each is told from all others.
MONTH_PREFIXES = tuple(month[:3] for month in MONTHS)
MONTH_NAME = f"(?:{'|'.join(MONTHS)})"
# sept., dec: what stands among other words is no date (mar, may), so a year must stand behind it.
SHORT_MONTH_NAME = f"(?:{'|'.join(MONTH_PREFIXES)})[a-z]*\\.?"

# Any year that a document tells of, where something beside it says that it is one.
YEAR = "(?:1[0-9]{3}|20[0-9]{2})"
# Digits that are a year oftener than a number.
MODERN_YEAR = "(?:19|20)[0-9]{2}"
HAN_YEAR = f"[一二][{HAN_DIGITS}]{{3}}"  # 二〇二四
MONTH_OR_DAY = f"(?:[0-9]{{1,2}}|[{HAN_NUMERALS}]{{1,3}})"  # 5, 05, 三十一
DAY_OF_MONTH = "[0-9]{1,2}(?:st|nd|rd|th)?"  # 3rd
NUMERIC_DATE = f"({MODERN_YEAR})[-/.]([0-9]{{1,2}})[-/.]([0-9]{{1,2}})"  # 2024-05-03, 2024/5/3

# Reigns by which years were counted in China, and are in Japan, whose characters are folded like all others.
ERAS = (
    "民国|宣统|光绪|同治|咸丰|道光|嘉庆|乾隆|雍正|康熙|顺治|崇祯|天启|万历|隆庆|嘉靖|正德|弘治|成化|宣德|永乐|洪武|至正|至元"
    "|绍兴|靖康|宣和|元丰|熙宁|庆历|天宝|开元|贞观"
)
JAPANESE_ERAS = "令和|平成|昭和"
