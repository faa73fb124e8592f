"""Whether a line goes on in the next one, so that the page broke the sentence and not the author. Pure.

Where text is missing between two lines, joining them would make a sentence that nobody wrote. So two lines of Han text
that meet without punctuation are joined only when something shows that they belong together. On random breaks in the
seeds such a sign is there for 76 % of those that belong together and for 4 to 7 % of those that don't; a word that the
break would split decides most of them.
"""

from __future__ import annotations

import re

from index.chunking.numbering import INNER_STOP, TERMINATED, heading_level, item
from index.text.fold import fold_text
from index.text.segmenter import PLAIN
from index.text.tokens import HAN

MAX_SHORT_LINE_CHARS = 45
# No page cuts a sentence so often; a text that goes on longer has no punctuation at all.
MAX_JOINED_CHARS = 5000
# A line's end is looked at no further back than this.
_END_CHARS = 20
_LONGEST_WORD = 60
_CONTINUES = re.compile("[”’」』》)）】〕，,、。；;：:！？!?]")
# A line that opens like this starts something new, whatever the line before it looks like.
_OPENER = re.compile("——|--|[□■◎●○◇◆★▲•·]|[-*+]\\s|[>|]|[\\[【]")
_TAIL = re.compile(f"[{HAN}]{{1,8}}$")
_HEAD = re.compile(f"[{HAN}]{{1,8}}")
_KANA = re.compile("[\u3040-\u30ff]")
_PAIRS = ("“”", "‘’", "《》", "「」", "『』", "（）", "()")
_HYPHENATED = re.compile("([^\\W\\d_]+)-$")
_LOWER_WORD = re.compile("[^\\W\\d_]+")


def opens(line: str) -> bool:
    """Whether a line starts something new: a dash, a bullet, an item of a run."""
    found = item(line)
    return bool(_OPENER.match(line)) or (found is not None and found.style == "{}是")


def is_cut(line: str, following: str, text: str) -> bool:
    """Whether a sentence goes on from `line` to `following`; `text` is what they stand in."""
    if len(line) > MAX_JOINED_CHARS:
        return False
    if heading_level(line) is not None and not _CONTINUES.match(following) and not INNER_STOP.search(line):
        return False
    if TERMINATED.search(line[-_END_CHARS:]) or opens(following) or heading_level(following) is not None:
        return False
    if _CONTINUES.match(following) or line[-1] in "，,、":
        return True
    if len(line) <= MAX_SHORT_LINE_CHARS and not INNER_STOP.search(line):
        return False
    return belong_together(line, following, text)


def belong_together(line: str, following: str, text: str) -> bool:
    """Whether two lines that meet without punctuation show that nothing is missing between them.

    Signs: a word that the break splits, three characters round the break that stand together elsewhere in `text`, or
    a quotation or bracket that opens above and closes below. What is not Han text needs no sign.
    """
    tail, head = _TAIL.search(line[-_END_CHARS:]), _HEAD.match(following)
    if not tail or not head or _KANA.search(line[-40:] + following[:40]):
        return True
    left, right = tail[0], head[0]
    around = [left[-2:] + right[:1]] if len(left) > 1 else []
    around += [left[-1:] + right[:2]] if len(right) > 1 else []
    return (
        _splits_word(fold_text(left), fold_text(right))
        or any(trigram in text for trigram in around)
        or any(_opens_and_closes(line, following, *pair) for pair in _PAIRS)
    )


def hyphen(line: str, following: str, text: str) -> int:
    """How many characters at the end of `line` the break added to a word: 1 for a hyphen as in exam-|ple, else 0."""
    if line.endswith("\u00ad"):
        return 1
    first, second = _HYPHENATED.search(line[-_LONGEST_WORD:]), _LOWER_WORD.match(following)
    if not first or not second or not second[0][0].islower():
        return 0
    # long-|term keeps its hyphen where the document writes it so elsewhere.
    return 0 if f"{first[1]}-{second[0]}" in text else 1


def joins_words(line: str, following: str) -> bool:
    """Whether a line break may stand inside a word; between Western words it is a space."""
    return not (line[-1].isascii() and following[0].isascii())


def _splits_word(left: str, right: str) -> bool:
    position = 0
    for word, _ in PLAIN.tag(left + right):
        end = position + len(word)
        if position < len(left) < end and PLAIN.knows(word):
            return True
        position = end
    return False


def _opens_and_closes(line: str, following: str, opening: str, closing: str) -> bool:
    if line.rfind(opening) <= line.rfind(closing):
        return False
    end = following.find(closing)
    return end >= 0 and opening not in following[:end]
