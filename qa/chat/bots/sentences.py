"""What bots say beside answers, in the language of the question."""

from __future__ import annotations

from typing import Literal

from qa.chat.card import Card
from qa.chat.phrases import words_for
from qa.schemas import MAX_QUERY_CHARS

Sentence = Literal["too_often", "busy", "no_text", "too_long", "failed", "searching"]

_SENTENCES: dict[Sentence, dict[str, str]] = {
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


def say(sentence: Sentence, question: str) -> Card:
    """A card that is only a sentence, in the language of `question`."""
    words = words_for(question)
    return Card(words, False, None, (_SENTENCES[sentence][words.language],), (), ())
