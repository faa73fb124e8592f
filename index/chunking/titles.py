"""The lines round an article's text: titles, bylines, dates, salutations above it, signatures below. Pure.

What such a line says once holds for the whole article (`context`): "1-3月份" in a speech is the year of the date under
its title, and 市总工会 the city of its signature; a passage that says neither is found by them all the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from index.chunking.lines import MAX_SHORT_LINE_CHARS, Paragraph
from index.chunking.numbering import TERMINATED, bare, is_piece
from index.text.dates import DAY_OF_MONTH, HAN_YEAR, JAPANESE_ERAS, SHORT_MONTH_NAME, YEAR
from index.text.fold import fold_text
from index.text.names import COMPOUND_SURNAMES, OFFICES
from index.text.scripts import HAN, ONE_TO_TEN
from index.text.segmenter import PLAIN

_SUBTITLE = re.compile("(?:——|--|—|－－)\\S")
# Words that stand alone on a line as names do.
_NO_NAME = "(?!目录|前言|引言|序言|摘要|导语|结语|后记|附录|附件|正文|通知|公告|编者按)"
_COMPOUND = f"(?:{'|'.join(COMPOUND_SURNAMES)})"
_HAN_NAME = f"{_NO_NAME}(?:{_COMPOUND}[{HAN}]{{1,2}}|[{HAN}]{{2,3}})"
NAME = re.compile(_HAN_NAME)
# Not as `dates.MONTH_OR_DAY` is: 1819-190 of a span of years counts too, and all scores rest on what was read so.
_MONTH_OR_DAY = f"[0-9{ONE_TO_TEN}]{{1,3}}"
# All of these match folded text.
DATE = re.compile(
    "|".join(
        (
            # 2024年5月3日, 二〇二四年五月, 2024-05-03, 2024.5
            f"(?:{YEAR}|{HAN_YEAR})\\s*[年./-]\\s*{_MONTH_OR_DAY}(?:\\s*[月./-]\\s*{_MONTH_OR_DAY}\\s*日?|\\s*月)?",
            f"(?:[0-9]{{1,2}} )?{SHORT_MONTH_NAME} (?:{DAY_OF_MONTH},? )?{YEAR}",  # 3 may 2024; sept. 3rd, 2024
            f"(?:{JAPANESE_ERAS})[0-9元]{{1,2}}年[0-9]{{1,2}}月[0-9]{{1,2}}日",  # 令和6年5月3日
        )
    )
)
DATE_LINE = re.compile(f"[(\\[]?\\s*(?:{DATE.pattern}).{{0,12}}[)\\]]?")
_BYLINE = re.compile(
    "|".join(
        (
            "[□■◎●◇]\\s?\\S.*",  # □ 本报记者 王小明
            "(?:文|撰稿|by)[/: ].+",  # 文/王小明, by jane doe
            "(?:本?报)?(?:记者|通讯员|特约记者) .+",  # 本报记者 王小明 李红
            f".{{0,40}}(?:{OFFICES}) +{_HAN_NAME}",  # 市总工会主席 王小明
            _HAN_NAME,  # 王小明
        )
    )
)
_LABELS = "|".join(
    (
        "作者|译者|编辑|责任编辑",  # 作者:王小明
        "记者|摄影|来源|单位",  # 新闻来源:兰州日报
        "主讲人?|报告人|发言人|演讲人",  # 报告人:王小明
        "日期|时间|地点",  # 时间:5月3日下午
        "(?:添加|发布|更新|发文)(?:时间|日期)",  # 发布时间:2024-05-03
        "文号|发文字号|发文机关|索引号",  # 发文字号:兰政发〔2024〕5号
        "作成日|発行日|日付|日時|場所|著者",  # 作成日:令和6年5月3日
        "author|date|source|speaker|place|published|updated",  # author: jane doe
    )
)
_LABELLED = re.compile(f"[\\[(]?(?:新闻|文章|信息)?(?:{_LABELS})\\s?:.*")
_DOCUMENT_NUMBER = re.compile(  # 兰政发〔2024〕5号, 教育部公告 2024年第5号
    f"[{HAN}]{{1,12}}\\s?[〔\\[(【]?{YEAR}[〕\\])】]?\\s?(?:年第?)?[0-9]{{1,5}}号"
)
_SALUTATION = re.compile(
    "|".join(
        (
            "[^。!?,]{1,18}:",  # 同志们:
            "各[^。!?]{1,70}:",  # 各县区人民政府,市直各部门:
            "dear .{1,40}[,:]",  # dear colleagues,
            "(?:ladies and gentlemen|各位.{1,30})[,:]",  # 各位代表,
        )
    )
)
_ORGANISATION_END = "|".join(
    (
        "局|厅|部|委|(?<![大例晚议])会|院|府|处|署",  # 兰州市总工会
        "室|所|社|公司|集团|校|大学|中心|组",  # 兰州大学
        "ministry|office|committee",
    )
)
_ORGANISATION = re.compile(f"[(]?[^,。;:]{{1,30}}(?:{_ORGANISATION_END})[)]?")
_REMARK = re.compile("[(](?:此件.{1,20}|完|全文完|未完待续)[)]")  # (此件公开发布)
_MAX_FRONT_CHARS = 80


def opening_lines(block: Sequence[Paragraph]) -> int:
    """How many lines of a run of short ones it takes to read like the top of an article; 0 where all of them don't.

    A title, then a subtitle, byline or date; or 第N篇 by itself.
    """
    has_title = False
    for count, line in enumerate(block, start=1):
        if is_piece(line.text):
            return count
        if line.is_furniture:
            continue
        if has_title and (is_front_matter(line) or _SUBTITLE.match(bare(line.text))):
            return count
        has_title = True
    return 0


def is_front_matter(line: Paragraph) -> bool:
    """A byline, a name, a date, a document number, a salutation, furniture: in a title block, but no title."""
    return line.is_furniture or _is_front_text(line.text)


def is_formula(line: Paragraph) -> bool:
    """Whether a line says nothing of its article: it addresses the readers, or allows publication."""
    folded = fold_text(line.text)
    return bool(_SALUTATION.fullmatch(folded) or _REMARK.fullmatch(folded))


@lru_cache(maxsize=4096)
def _is_front_text(text: str) -> bool:
    if len(text) > _MAX_FRONT_CHARS:
        return False
    folded = fold_text(text)
    if _SALUTATION.fullmatch(folded) or _LABELLED.fullmatch(folded):
        return True
    short = (_BYLINE, DATE_LINE, _DOCUMENT_NUMBER, _REMARK)
    return len(text) <= MAX_SHORT_LINE_CHARS and any(pattern.fullmatch(folded) for pattern in short)


def is_short(line: Paragraph) -> bool:
    """Whether a line could stand in a title block."""
    if line.level is not None or is_front_matter(line):
        return True
    return len(line.text) <= MAX_SHORT_LINE_CHARS and not TERMINATED.search(line.text)


def signature(block: Sequence[Paragraph], *, ends_text: bool) -> int:
    """How many lines at the top of a run of short lines sign what stands above: who signs, then the date.

    A title over a date looks alike, so either nothing follows the run (`ends_text`), or a title follows the date.
    """
    count = 0
    for line in block[:4]:
        folded = fold_text(line.text)
        is_date = bool(DATE_LINE.fullmatch(folded))
        if not is_date and not any(pattern.fullmatch(folded) for pattern in (_ORGANISATION, _BYLINE, _REMARK)):
            break
        count += 1
        if is_date:
            has_title = any(not is_front_matter(line) for line in block[count:])
            return count if has_title or (ends_text and count == len(block)) else 0
    is_bracketed = count == len(block) == 1 and block[0].text[0] in "(（"
    return count if ends_text and (is_bracketed or (count == len(block) and len(block) == 1)) else 0


# A place named less often is one of which the article says something, not the place that it is about.
MIN_PLACE_MENTIONS = 3
_MAX_TAGGED_CHARS = 20_000
# More lines than these go with no title; what they say is stored with every passage.
MAX_TELLING_LINES = 50
_MAX_LINE_CHARS = 80
_YEAR_NAMED = re.compile(f"{YEAR}年")
# Countries and the like: every document is about them.
_WIDE = frozenset(("中国", "我国", "全国", "中央", "中华人民共和国", "中华"))


def context(title: str, block: Sequence[Paragraph], signed: Sequence[Paragraph], text: str) -> tuple[str, ...]:
    """Dates, names and the place that hold for a whole article, folded, without what its title says.

    `block` are the lines that its title is made of and those among them, `signed` those that sign it, `text` is all.
    """
    known = fold_text(title)
    told = [part for line in [*_front(block)[:MAX_TELLING_LINES], *signed] for part in _telling(line)]
    if not any(DATE.search(part) for part in told) and (year := _YEAR_NAMED.search(known)):
        told.append(year.group())
    if not _places("\n".join([known, *told])) and (place := _place(text)):
        told.append(place)
    return tuple(part for part in dict.fromkeys(told) if part and (part not in known or _YEAR_NAMED.fullmatch(part)))


def _front(block: Sequence[Paragraph]) -> list[Paragraph]:
    """The lines that go with a title; a bare name above it is the caption of a picture that belongs elsewhere."""
    title = next((number for number, line in enumerate(block) if not is_front_matter(line)), 0)
    return [
        line
        for number, line in enumerate(block)
        if is_front_matter(line) and (number > title or not NAME.fullmatch(fold_text(line.text)))
    ]


def _telling(line: Paragraph) -> list[str]:
    """What a line says of the article: its dates, or else the line itself."""
    if line.is_furniture or is_formula(line) or len(line.text) > _MAX_LINE_CHARS:
        return []
    folded = fold_text(line.text)
    return [match.group().strip() for match in DATE.finditer(folded)] or [folded.strip(" ()[]")]


def _places(folded: str) -> Counter[str]:
    return Counter(word for word, tag in PLAIN.tag(folded) if _is_place(word, tag))


def _is_place(word: str, tag: str | None) -> bool:
    return tag == "ns" and len(word) > 1 and word not in _WIDE and PLAIN.knows(word)


def _place(text: str) -> str | None:
    """The place that a text names most."""
    folded = fold_text(text[:_MAX_TAGGED_CHARS])
    counts = Counter(PLAIN.words(folded))
    often = {word: PLAIN.tag_alone(word) for word, count in counts.items() if count >= MIN_PLACE_MENTIONS}
    if None in often.values():  # cut up when it stands alone, so only the text tells its tag
        counts = _places(folded)
    else:
        counts = Counter({word: counts[word] for word, tag in often.items() if _is_place(word, tag)})
    most_named = counts.most_common(1)
    return most_named[0][0] if most_named and most_named[0][1] >= MIN_PLACE_MENTIONS else None
