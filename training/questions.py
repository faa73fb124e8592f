"""Pseudo-questions: sentences with a fact masked and some words dropped, as people ask after them."""

from __future__ import annotations

import random
import re

_HAN = re.compile("[\u4e00-\u9fff]")
_SENTENCES = re.compile(r"[。!?！？;；\n]+|\.\s+")
_CLAUSES = re.compile(r"[,，、:：]\s*")
_ZH_MASKS = (
    (re.compile(r"\d{4}年(\d+月)?(\d+日)?"), ("哪一年", "什么时候", "哪年", "何时")),
    (
        re.compile(r"[\d,.]+多?(万|亿|千|百)?(元|美元|英镑)|[一二三四五六七八九十百千万]+元"),
        ("多少钱", "多少", "多少元"),
    ),
    (re.compile(r"\d[\d,.]*%|百分之[一二三四五六七八九十百]+"), ("多少", "百分之几", "比例是多少")),
    (re.compile(r"\d[\d,.]*|[一二三四五六七八九十百]+(?=[日年月人个名天倍次])"), ("多少", "几", "多少")),
    (
        re.compile(r"[^,、()的]{2,8}(委员会|法院|机关|部门|公司|单位|协会|大学|局)"),
        ("谁", "哪个部门", "哪个机构", "什么单位"),
    ),
)
_EN_MASKS = (
    (re.compile(r"\b(in|on|since|by) (\w+ )?\d{4}\b"), ("when", "in what year", "what year")),
    (re.compile(r"(nt|us|rmb)?\$\s?[\d,.]+( million| billion)?"), ("how much", "how much money")),
    (re.compile(r"\b\d[\d,.]*( percent|%)"), ("what percentage", "how much", "what share")),
    (re.compile(r"\b(\d[\d,.]*|two|three|four|five|six|seven|eight|ten|thirty|sixty)\b"), ("how many", "what number")),
    (re.compile(r"\bthe [\w ]{3,24}(authority|court|ministry|committee|agency|council)\b"), ("who", "which agency")),
)
_ZH_FRAMES = ("{}是什么", "什么是{}", "{}有哪些", "为什么{}", "如何{}", "{}怎么办", "{}吗", "{}", "{}的规定是什么")
_EN_FRAMES = ("what is {}", "what are {}", "why {}", "how does {}", "which {}", "who {}", "{}", "where {}")


def is_chinese(text: str) -> bool:
    """Whether there are Chinese characters in `text`."""
    return bool(_HAN.search(text))


def sentences_of(text: str) -> list[str]:
    """The sentences of `text` which say something."""
    return [part.strip() for part in _SENTENCES.split(text) if len(part.strip()) >= 6]


def clause_of(sentence: str, rng: random.Random) -> str:
    """One or two neighbouring clauses of `sentence`: questions are shorter than sentences."""
    clauses = [part for part in _CLAUSES.split(sentence) if len(part) >= 4]
    if len(clauses) < 2:
        return sentence
    start = rng.randrange(len(clauses))
    return " ".join(clauses[start : start + rng.choice((1, 2))])


def pseudo_question(sentence: str, rng: random.Random) -> str:
    """A question to which `sentence` might be the answer."""
    chinese = is_chinese(sentence)
    clause = clause_of(sentence, rng)
    masks = [mask for mask in (_ZH_MASKS if chinese else _EN_MASKS) if mask[0].search(clause)]
    if masks:
        pattern, words = rng.choice(masks)
        word = rng.choice(words)
        if chinese:
            return pattern.sub(word, clause, count=1)
        return f"{word} {pattern.sub(' ', clause, count=1)}"
    return rng.choice(_ZH_FRAMES if chinese else _EN_FRAMES).format(clause)
