"""What chat clients ask beside the user's questions: a title, tags, further questions, a summary.

They are recognised by their structure, not by their wording, and answered from the conversation they hold, without a
search. The prompts that were looked at: Open WebUI (all its tasks), LobeChat, Cherry Studio, NextChat, LibreChat,
Chatbox, as of 2026.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from index.text.scripts import ENGLISH_NUMBER, HAN_NUMERALS
from qa.chat.openai_models import ChatMessage
from qa.schemas import MAX_QUERY_CHARS
from qa.understanding.question import Question

_TITLE_CHARS = 50
_SUMMARY_CHARS = 400
_MAX_TAGS = 3
# What is longer is no request of a client's own: it is not even looked at.
MAX_TASK_CHARS = 200_000
_ELLIPSIS = "…"

# Open WebUI: `### Task:`, then the JSON to answer with and the conversation; other prompts of this form are questions.
_TASK = re.compile(r"\s*#{1,6} ?task\b", re.IGNORECASE)
_JSON_KEY = re.compile(r'\{\s*"(title|tags|follow_ups|queries|text|prompt|tool_calls)"\s*:')
_DIALOGUE = re.compile(r"<(chat_history|conversation)>(.*?)(?:</\1>|\Z)", re.DOTALL)
_FENCED = re.compile(r"```\w*\n(.*?)```", re.DOTALL)
_CONTEXT = ("<context>", "</context>")
_USER_QUERY = ("<user_query>", "</user_query>")
_TOOLS = re.compile(r"\s*available tools:", re.IGNORECASE)
# A conversation written out: a line for each that speaks, or a tag.
_SPEAKER = re.compile(
    r"^\s*(?:(?P<user>user|human|用户)|assistant|ai|system|session|助手|助理)\s*[:：]\s*(?P<said>.*)$", re.IGNORECASE
)
_ROLE_TAG = re.compile(r"<(/?)(user|assistant)>")
_RULE = re.compile(r"(?<=\n)[^\S\n]*+-{3,}+[^\S\n]*+(?=\n)")
# An instruction to name or sum up a conversation names what to make, the conversation, and how long it may be; unlike
# a question about such things it asks nothing.
_NAMES = re.compile(r"标题|主题|\btitles?\b|\btopics?\b|\bname\b", re.IGNORECASE)
_SUMS_UP = re.compile(r"总结|概括|摘要|\bsummar(?:y|i[sz]e)", re.IGNORECASE)
_CONVERSATION = re.compile(r"会话|对话|聊天|这句话|\bconversations?\b|\bchats?\b|\bdiscussions?\b", re.IGNORECASE)
_BOUND = re.compile(
    rf"[\d{HAN_NUMERALS}] ?个?(?:字|词|汉字)|(?:\d|\b(?:one|{ENGLISH_NUMBER}))"
    r"[ -](?:words?|characters?|tokens?)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(r"[?？]|多少|几个|谁|哪|什么|吗|\b(?:how many|who|when|where|which|why)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Turns:
    """A conversation as far as a task needs it: what the user asked and what was answered, oldest first."""

    questions: tuple[str, ...]
    answers: tuple[str, ...]


def task_answer(messages: Sequence[ChatMessage]) -> str | None:
    """What to answer to a client's own request; None when the user asks."""
    last = messages[-1].text
    system = "\n".join(message.text for message in messages[:-1] if message.role in ("system", "developer"))
    if len(last) + len(system) > MAX_TASK_CHARS:
        return None
    if _TOOLS.match(system) or _TOOLS.match(last):
        return json.dumps({"tool_calls": []})
    if _TASK.match(last):
        return _open_webui(last)
    instruction, turns = _instruction(messages, system)
    if turns.questions and all(part.search(instruction) for part in (_CONVERSATION, _BOUND)):
        if _NAMES.search(instruction):
            return title(turns)
        if _SUMS_UP.search(instruction):
            return summary(turns)
    return None


def user_question(text: str) -> str:
    """The question in a message that a client has wrapped in passages of its own."""
    if len(text) > MAX_TASK_CHARS:
        return text
    if (query := _between(text, *_USER_QUERY)) is not None:
        return query.strip()
    if _TASK.match(text) and _has_context(text):
        return text.rpartition(_CONTEXT[1])[2].strip() or text
    return text


def _between(text: str, begin: str, end: str) -> str | None:
    """What stands between the first `begin` and the next `end`; None where either is missing."""
    _, begun, rest = text.partition(begin)
    inside, ended, _ = rest.partition(end)
    return inside if begun and ended else None


def _has_context(text: str) -> bool:
    return _between(text, *_CONTEXT) is not None


def _open_webui(asked: str) -> str | None:
    if _has_context(asked) or not (_DIALOGUE.search(asked) or _JSON_KEY.search(asked)):
        return None
    turns = _spoken(asked)
    key = _JSON_KEY.search(asked)
    return json.dumps({key[1]: _MAKERS[key[1]](turns)}, ensure_ascii=False) if key else title(turns)


def _instruction(messages: Sequence[ChatMessage], system: str) -> tuple[str, Turns]:
    """What could be an instruction of the client's, and the conversation it is about.

    Either one message holds the conversation written out, or a last message follows the conversation itself, which
    NextChat sends as the system's where it wants a summary.
    """
    last = messages[-1].text
    before = [message for message in messages[:-1] if message.role in ("user", "assistant")]
    if not before:
        return f"{system}\n{last}", _spoken(last)
    return ("" if _ASKS.search(last) else last), _turns(before)


def _turns(messages: Sequence[ChatMessage]) -> Turns:
    questions = tuple(user_question(message.text) for message in messages if message.role == "user")
    return Turns(questions, tuple(message.text for message in messages if message.role == "assistant"))


def _spoken(text: str) -> Turns:
    """The conversation that is written out in a text: in tags or a fence, as JSON, as lines; empty where none is."""
    matches = (pattern.search(text) for pattern in (_DIALOGUE, _FENCED))
    enclosed = next((match.groups()[-1].strip() for match in matches if match), "")
    listed = _listed(enclosed or text)
    if listed is not None:
        return listed
    if tagged := list(_tagged(enclosed)):
        return _told(tagged)
    turns = _told(_spoken_lines((enclosed or text).splitlines()))
    if enclosed and not turns.questions:  # Chatbox says not who speaks
        return Turns((_RULE.split(enclosed, maxsplit=1)[0].strip(),), turns.answers)
    return turns


def _told(said: Iterable[tuple[bool, str]]) -> Turns:
    """A conversation of what was said, each with whether the user said it."""
    turns: dict[bool, list[str]] = {True: [], False: []}
    for is_user, words in said:
        turns[is_user].append(words.strip())
    return Turns(tuple(turns[True]), tuple(turns[False]))


def _tagged(text: str) -> Iterator[tuple[bool, str]]:
    """What stands in tags that name who speaks, and whether that is the user; what stands in one is not looked into."""
    role, start = "", 0
    for tag in _ROLE_TAG.finditer(text):
        if not role and not tag[1]:
            role, start = tag[2], tag.end()
        elif tag[1] and tag[2] == role:
            yield role == "user", text[start : tag.start()]
            role = ""


def _spoken_lines(lines: Iterable[str]) -> Iterator[tuple[bool, str]]:
    """What is said in lines, each of which may begin with who speaks, and whether that is the user."""
    is_user = False
    said: list[str] = []
    for line in lines:
        if speaker := _SPEAKER.match(line):
            if said:
                yield is_user, "\n".join(said)
            is_user, said = bool(speaker["user"]), [speaker["said"]]
        elif said:
            said.append(line)
    if said:
        yield is_user, "\n".join(said)


def _listed(text: str) -> Turns | None:
    """A conversation as a JSON list, as Cherry Studio writes it; it may be followed by a word to the model."""
    try:
        listed, _ = json.JSONDecoder().raw_decode(text.strip())
    except (ValueError, RecursionError):
        return None
    if not isinstance(listed, list) or not all(isinstance(item, dict) and "role" in item for item in listed):
        return None
    said = [(item["role"] == "user", item.get("mainText") or item.get("content")) for item in listed]
    return _told((is_user, words if isinstance(words, str) else "") for is_user, words in said)


def title(turns: Turns) -> str:
    """The first question without its punctuation."""
    line = " ".join((turns.questions[0] if turns.questions else "").split()).strip(" \t?？!！.。,，:：;；\"'“”「」")
    if len(line) <= _TITLE_CHARS:
        return line
    head = line[:_TITLE_CHARS]
    return f"{head.rpartition(' ')[0] or head}{_ELLIPSIS}"


def summary(turns: Turns) -> str:
    """What was asked and how the answers begin, oldest first."""
    lines = []
    for number, question in enumerate(turns.questions):
        answer = turns.answers[number].strip().partition("\n")[0] if number < len(turns.answers) else ""
        lines.append(f"{question} → {answer}" if answer else question)
    text = "\n".join(lines)
    return text if len(text) <= _SUMMARY_CHARS else f"{text[:_SUMMARY_CHARS]}{_ELLIPSIS}"


def _tags(turns: Turns) -> list[str]:
    question = Question.of(turns.questions[0][:MAX_QUERY_CHARS]) if turns.questions else None
    words = list(dict.fromkeys([*question.places, *question.terms])) if question else []
    whole = [word for word in words if not any(word != other and word in other for other in words)]
    return [word for word in whole if len(word) > 1][:_MAX_TAGS]


# Nobody but the user knows what they will ask next, and what the documents don't say is not completed.
_MAKERS: dict[str, Callable[[Turns], object]] = {
    "title": title,
    "tags": _tags,
    "follow_ups": lambda turns: [],
    "queries": lambda turns: list(turns.questions[-1:]),
    "text": lambda turns: "",
    "prompt": lambda turns: turns.questions[-1] if turns.questions else "",
    "tool_calls": lambda turns: [],
}
