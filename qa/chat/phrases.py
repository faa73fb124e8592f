"""The sentences that chat tools add around an answer, in the language of the question."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from index.text.scripts import HANGUL, KANA, UNFOLDED_HAN
from qa.schemas import MAX_QUERY_CHARS, Reason

_HAN = re.compile(f"[{UNFOLDED_HAN}]")
_KANA_OR_HANGUL = re.compile(f"[{KANA}{HANGUL}]")


BotSentence = Literal["too_often", "busy", "no_text", "too_long", "failed", "searching"]


@dataclass(frozen=True, slots=True)
class Phrases:
    """One language's sentences. Those with `{}` are completed with `str.format`; `gap` stands between two of them."""

    language: str
    sources: str
    nearest: str
    not_found: str
    reasons: dict[Reason, str]
    missing: str
    page: str
    paragraph: str
    understood: str
    fallback: str
    stale: str
    damaged: str
    join: str
    colon: str
    gap: str


CHINESE = Phrases(
    language="zh",
    sources="来源",
    nearest="最接近的段落",
    not_found="文档中没有找到答案。",
    reasons={
        "no_hits": "没有与问题相关的段落。",
        "low_confidence": "没有哪个段落与问题足够吻合。",
        "missing_terms": "没有哪篇文档把问题里的这些内容放在一起讲。",
        "no_quantity": "相关的段落里没有所问的那种数字。",
    },
    missing="没有哪篇文档把这些与问题的其余部分放在一起讲：{}。",
    page="第{}页",
    paragraph="第{}段",
    understood="按“{}”理解。",
    fallback="语言模型没有给出可用的回答，以下摘自文档。",
    stale="此后文件已改动或移除",
    damaged="原文此处有损坏，请核对原件：{}",
    join="、",
    colon="：",
    gap="",
)
ENGLISH = Phrases(
    language="en",
    sources="Sources",
    nearest="Nearest passages",
    not_found="The documents hold no answer to this.",
    reasons={
        "no_hits": "No passage has to do with the question.",
        "low_confidence": "No passage fits the question well enough.",
        "missing_terms": "No document brings together what the question names.",
        "no_quantity": "The passages that fit hold no number of the kind asked for.",
    },
    missing="No document brings these together with the rest of the question: {}.",
    page="page {}",
    paragraph="paragraph {}",
    understood="Understood as “{}”.",
    fallback="The language model gave no usable answer; this is quoted from the documents.",
    stale="the file has been changed or removed since",
    damaged="damaged in the document, look at the original: {}",
    join=", ",
    colon=":",
    gap=" ",
)


def phrases_for(question: str) -> Phrases:
    """Chinese for a question with Chinese characters, unless kana or hangul say otherwise; else English."""
    return CHINESE if _HAN.search(question) and not _KANA_OR_HANGUL.search(question) else ENGLISH


BOT_SENTENCES: dict[BotSentence, dict[str, str]] = {
    "too_often": {
        "zh": "提问太频繁了，请过一会儿再问。",
        "en": "That is a lot of questions; please ask again in a while.",
    },
    "busy": {
        "zh": "现在提问的人太多，请稍后再问。",
        "en": "Too many questions are waiting; please ask again later.",
    },
    "no_text": {
        "zh": "请用文字提问。",
        "en": "Please ask in words. 请用文字提问。",
    },
    "too_long": {
        "zh": f"问题太长了，请缩短到{MAX_QUERY_CHARS}字以内。",
        "en": f"The question is too long; please keep it under {MAX_QUERY_CHARS} characters.",
    },
    "failed": {
        "zh": "出了点问题，这次没能回答，请稍后再试。",
        "en": "Something went wrong and this could not be answered; please try again later.",
    },
    "searching": {
        "zh": "正在查找……",
        "en": "Looking it up…",
    },
}


def bot_sentence(sentence: BotSentence, question: str) -> str:
    """What a bot says beside answers, in the language of `question`."""
    return BOT_SENTENCES[sentence][phrases_for(question).language]
