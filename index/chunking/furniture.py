"""Page furniture: what a page or website prints around its text, set aside from matching. Pure.

Names and dates stay visible: [添加时间:2004-4-23] may be the only place of a date.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from index.chunking.sentences import sentences
from index.text.dates import YEAR
from index.text.fold import HIDDEN, fold, fold_text
from index.types import Span

MAX_NOTICE_CHARS = 60
_MAX_LATIN_NOTICE_CHARS = 160
# A notice forbids or allows copying; it takes a word of copying, one of permission or an address, and one of what
# may be copied. A speech that warns against 照搬照抄 has only the first two.
_COPYING = re.compile("转载|照搬|照抄|抄袭|翻印|盗用|盗版|侵权|复制|reproduc|redistribut|republish")
_PERMISSION = re.compile(
    "请勿|切勿|请注明|须注明|注明出处|不得|禁止|严禁|谢绝|必究|仅供|\\.(?:com|cn|net|org)(?![a-z])|https?:|www\\.|without|permi|prohibit"
)
_OWNED = re.compile(
    "本文|本站|本网|本刊|本报|版权|原创|投稿|出处|来源|授权|许可|文秘|\\.(?:com|cn|net|org)(?![a-z])|permission|copyright|rights|material"
)
_WHOLE_NOTICE = re.compile(f"版权所有|copyright (?:©|\\(c\\)|{YEAR})|all rights reserved")
_COUNT = "(?:阅读|浏览|点击|评论|回复)(?:次数|人次|人数|数|量)?[:：]\\s*[0-9,]*\\s*次?"
_CONTROL = (
    "(?:打印|打印本页|打印本文|关闭|关闭窗口|收藏|加入收藏|返回|返回顶部|返回首页|返回目录|复制链接|分享|分享到|我要评论|发表评论|上一篇|下一篇|上一页|下一页"
    "|推荐给朋友|扫一扫|print this page|back to top|share this page|skip to content)"
)
# In folded text, where white space is one character.
_FRAGMENT = re.compile(
    "|".join(
        (
            "[\\[【(（]?\\s?字[体号][:：]?\\s?[大中小特默认](?:[\\s|/、]*[大中小特])+"  # [字体:大 中 小]
            "\\s?[\\]】)）]?",
            _COUNT,  # 阅读次数: 1,024 次
            f"[\\[【]\\s?{_CONTROL}(?:[\\s|/]+{_CONTROL})*\\s?[\\]】]",  # [打印本页 | 关闭窗口]
        )
    )
)
# What a line must hold for the slower patterns to be worth trying.
_FRAGMENT_MARK = re.compile("字体|字号|阅读|浏览|点击|评论|回复|\\[|【")
_LABEL_MARK = re.compile("作者|来源|编辑|责编|摄影|审核|录入|出处")
_CONTROL_LINE = re.compile(f"(?:[\\s|>»·\\[\\]【】]*{_CONTROL})+[\\s|>»·\\[\\]【】]*")
_LABEL = "(?:新闻|文章|信息|稿件)?(?:作者|来源|编辑|责编|责任编辑|摄影|审核|录入|出处)[:：]"
_EMPTY_LABEL = re.compile(f"{_LABEL}\\s*(?={_LABEL}|(?:添加|发布|更新)时间|{_COUNT}|[\\]】)）]|$)")
_PAGE_NUMBER = re.compile(
    "[-—–―·•~\\s]+[0-9]{1,4}[-—–―·•~\\s]+|第\\s*[0-9]{1,4}\\s*页(?:\\s*[,，/]?\\s*[共总]\\s*[0-9]{1,4}\\s*页)?"
    "|page [0-9]{1,4}(?: (?:of|/) [0-9]{1,4})?"
)


def furniture(line: str, aligned: str = HIDDEN) -> list[Span]:
    """Spans of a line that are page furniture, in order and apart; `aligned` is the line as `fold_aligned` gives it."""
    text = fold_text(line) if HIDDEN in aligned or " " in aligned else aligned
    if not text.strip():
        return []
    if _CONTROL_LINE.fullmatch(text) or _PAGE_NUMBER.fullmatch(text):
        return [(0, len(line))]
    spans = [*_notices(text), *_fragments(text)]
    return _apart(sorted(itertools.starmap(fold(line).span, spans))) if spans else []


def is_furniture(line: str, spans: list[Span]) -> bool:
    """Whether nothing but brackets and space is left of a line without these spans."""
    if not spans:
        return False
    rest = list(line)
    for start, end in spans:
        rest[start:end] = " " * (end - start)
    return not any(char.isalnum() for char in rest)


def _notices(text: str) -> Iterator[Span]:
    if not _COPYING.search(text) and not _WHOLE_NOTICE.search(text):
        return  # most lines; they need not be cut into sentences
    for start, end in sentences(text):
        sentence = text[start:end]
        if len(sentence) > (_MAX_LATIN_NOTICE_CHARS if sentence.isascii() else MAX_NOTICE_CHARS):
            continue
        is_notice = _COPYING.search(sentence) and _PERMISSION.search(sentence) and _OWNED.search(sentence)
        if is_notice or _WHOLE_NOTICE.search(sentence):
            yield start, end


def _fragments(text: str) -> Iterator[Span]:
    for mark, pattern in ((_FRAGMENT_MARK, _FRAGMENT), (_LABEL_MARK, _EMPTY_LABEL)):
        if mark.search(text):
            yield from (match.span() for match in pattern.finditer(text))


def _apart(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
