"""Names of people, places and organisations in folded text, by the segmenter's tags and how such names end.

Names also have their pinyin, so that Lanzhou finds 兰州 and 兰洲 does too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

from index.text.segmenter import PLAIN, Segmenter
from index.types import Span

_PERSON_TAGS = frozenset({"nr", "nrt", "nrfg"})
_NAME_PART_TAGS = frozenset(
    {"n", "ns", "nt", "nz", "nr", "nrt", "nrfg", "j", "vn", "b", "x", "an", "eng", "s", "f", "ng"}
)
_ORGANISATION_END = re.compile(
    "(?:公司|集团|工会|委员会|组织部|宣传部|部门|[部局委厅院校所社站镇乡县市处]|中心|协会|基金会|银行|医院|大学|学院|学校|法院|政府|党委"
    "|联合会|研究所|报社)$"
)
_ORGANISATION_END_CHARS = 3
# A longer run of nouns is a list and no name.
MAX_NAME_CHARS = 60
_SURNAMES = frozenset(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆"
    "汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤温康施文牛樊葛邢安齐易乔伍庞"
    "颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳管柴蒙鲍华喻祁"
    "蒲房滕屈饶解牟艾"
)
COMPOUND_SURNAMES = tuple(
    "欧阳 司马 诸葛 上官 司徒 夏侯 皇甫 尉迟 公孙 慕容 令狐 宇文 长孙 东方 端木 独孤 南宫".split()
)
# Offices, trades and ranks that stand with a name: 局长 王建国, 书记叫什么.
OFFICES = (
    "书记|主席|主任|市长|省长|县长|区长|镇长|部长|厅长|局长|处长|会长|院长|校长|记者|教授|委员|代表|经理|总裁|作者|编辑"
    "|通讯员|研究员|董事长|秘书长|总理|总统|大使"
)
# Common words that the segmenter takes for names because they begin like one.
_NOT_PEOPLE = re.compile("[的了是在和与]|(?:工|职|会|年|度|性|化|制|率|量|力)$")
# What a place's name may end in or go without.
PLACE_KIND = re.compile("(?<=..)[省市县区州镇乡]$")
# Words that the dictionary calls places and that name none.
VAGUE_PLACE = re.compile("[外国东西内海各本当全世界中南北部省市县区乡镇村地方]+|.*(?:城市|地区|国家|社区|大桥|公路)")
_PLACE_TAGS = frozenset({"ns", "nt"})
_FAMOUS_TAG = "nrfg"
_TITLE = re.compile("《([^》]{2,40})》")


@lru_cache(maxsize=1024)
def _tagged(folded: str, segmenter: Segmenter) -> list[tuple[str, str]]:
    # Question after question reads the same clauses.
    return segmenter.tag(folded)


def people(folded: str, segmenter: Segmenter = PLAIN) -> Iterator[Span]:
    """Spans of what look like people's names: a Chinese surname and one or two characters."""
    position = 0
    words = _tagged(folded, segmenter)
    for number, (word, tag) in enumerate(words):
        start = folded.find(word, position)
        position = start + len(word)
        if tag not in _PERSON_TAGS or _NOT_PEOPLE.search(word):
            continue
        before = words[number - 1][0] if number else ""
        if len(word) == 2 and word[0] not in _SURNAMES and before in _SURNAMES and folded[start - 1] == before:
            yield start - 1, position  # the segmenter cut the surname off
        elif 2 <= len(word) <= 3 and word[0] in _SURNAMES:
            yield start, position


def places(folded: str, segmenter: Segmenter = PLAIN) -> Iterator[Span]:
    """Spans of words that the dictionary calls places."""
    position = 0
    for word, tag in _tagged(folded, segmenter):
        start = folded.find(word, position)
        position = start + len(word)
        if tag == "ns" and len(word) > 1:
            yield start, position


def organisations(folded: str, segmenter: Segmenter = PLAIN) -> Iterator[Span]:
    """Spans of runs of nouns that end like the name of an organisation."""
    position, start = 0, None
    for word, tag in _tagged(folded, segmenter):
        first = folded.find(word, position)
        position = first + len(word)
        if tag not in _NAME_PART_TAGS or not word.isalnum():
            start = None
            continue
        start = first if start is None else start
        end = max(start, position - _ORGANISATION_END_CHARS)
        if 2 < position - start <= MAX_NAME_CHARS and _ORGANISATION_END.search(folded, end, position):
            yield start, position


def proper_names(folded: str, segmenter: Segmenter = PLAIN) -> list[str]:
    """Names of places, people, organisations and works in a folded Han text: words that another text must share.

    An organisation named after a place is the words from the place on. The dictionary calls many a phrase a name
    (广泛开展, 重大进展), so only those tags and endings count that can be relied on.
    """
    names = [match[1] for match in _TITLE.finditer(folded)]
    for word, tag in segmenter.tag(folded):
        is_place = tag == "ns" and len(word) > 1 and not VAGUE_PLACE.fullmatch(word)
        is_body = tag == "nt" and bool(_ORGANISATION_END.search(word))
        if (is_place or is_body or tag == _FAMOUS_TAG) and segmenter.knows(word):
            names.append(PLACE_KIND.sub("", word))
    names += [folded[slice(*span)] for span in people(folded, segmenter)]
    for start, end in organisations(folded, segmenter):
        tagged = segmenter.tag(folded[start:end])
        proper = [
            number
            for number, (word, tag) in enumerate(tagged)
            if tag in _PLACE_TAGS and not VAGUE_PLACE.fullmatch(word)
        ]
        if proper:
            names += [PLACE_KIND.sub("", word) for word, _ in tagged[proper[-1] :] if len(word) > 1]
    return list(dict.fromkeys(names))


_READ_TAGS = _PERSON_TAGS | {"ns"}
_MAX_READ_CHARS = 4
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
def is_name(word: str, segmenter: Segmenter = PLAIN) -> bool:
    """Whether a Han word by itself is tagged as a place or a person."""
    return 2 <= len(word) <= _MAX_READ_CHARS and segmenter.tag_alone(word) in _READ_TAGS


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
