"""Chinese names and their pinyin, so that Lanzhou finds 兰州 and 兰洲 does too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

# Marks a token as a reading, so that it is not taken for a word of the text.
MARK = "~"
_FINAL = (
    "(?:iang|iong|uang|ang|eng|ing|ong|iao|ian|uai|uan|ai|ei|ui|ao|ou|iu|ie|ue|ve|er|an|en|in|un|ia|ua|uo|a|o|e|i|u|v)"
)
_SYLLABLE = f"(?:(?:zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw])?{_FINAL})"
_SPELLED = re.compile(f"{_SYLLABLE}{{2,4}}")
_SYLLABLES = re.compile(f"{_SYLLABLE}{{1,3}}")
_POSSESSIVE = re.compile("['’]s?$")


@lru_cache(maxsize=1 << 16)
def reading(name: str) -> str:
    """The marked pinyin of a Chinese name, without tones: 兰州 is ~lanzhou."""
    # Its dictionaries take 0.2 s to load, which only names are worth.
    from pypinyin import lazy_pinyin

    return MARK + "".join(lazy_pinyin(name))


def spelled(words: Sequence[str]) -> Iterator[str]:
    """Marked readings that the folded Latin words of a question may stand for: Lanzhou, or Deng Chuan together."""
    bare = [_POSSESSIVE.sub("", word) for word in words]
    for word in bare:
        if _SPELLED.fullmatch(word):
            yield MARK + word
    for first, second in pairwise(bare):
        if _SYLLABLES.fullmatch(first) and _SYLLABLES.fullmatch(second):
            yield MARK + first + second
