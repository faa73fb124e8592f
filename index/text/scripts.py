"""What scripts are made of: ranges of characters, numerals. Each fact of the field stands here once.

Ranges are for a class of characters, as in `f"[{HAN}]"`.
"""

from __future__ import annotations

# The basic block: the common characters, all that GB2312 and Big5 hold among them.
BASIC_HAN = "\u4e00-\u9fff"
# Han characters as folding leaves them: 々〆〇, that block and its first extension, the planes of rare ones.
HAN = f"\u3005-\u3007\u3400-\u4dbf{BASIC_HAN}\U00020000-\U0003ffff"
# Radicals and compatibility characters, which folding makes Han characters of.
UNFOLDED_HAN = f"\u2e80-\u2fdf{HAN}\uf900-\ufaff"
KANA = "\u3040-\u30ff"
HANGUL = "\uac00-\ud7a3"
# Scripts that are written without spaces, or with spaces that part phrases and not words: Japanese kana, Thai and Lao,
# Burmese, Khmer, Korean.
UNSPACED = f"{KANA}\u31f0-\u31ff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff{HANGUL}"
# Combining marks of scripts with spaces: Python's \w holds none of them.
MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0963\u0966-\u0dff"
    "\u200c\u200d"
)

ONE_TO_NINE = "一二三四五六七八九"
ONE_TO_TEN = f"{ONE_TO_NINE}十"
ZEROS = "零〇○"
# 两 is two of something, and in no year or code.
HAN_DIGITS = f"{ZEROS}{ONE_TO_NINE}"
HAN_NUMERALS = f"{HAN_DIGITS}两十百千"
HAN_NUMERALS_AND_SCALES = f"{HAN_NUMERALS}万亿"
DIGIT_VALUES = dict.fromkeys(ZEROS, 0) | {char: value for value, char in enumerate(ONE_TO_NINE, start=1)} | {"两": 2}
SCALE_VALUES = {"十": 10, "百": 100, "千": 1000}
# "one" is an article oftener than a number.
ENGLISH_NUMBER = (
    "(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen"
    "|nineteen|(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:[ -](?:one|two|three|four|five|six|seven"
    "|eight|nine))?)"
)
