"""What chat clients ask beside the user's questions: a title, tags, further questions, a summary.

They are recognised by their structure, not by their wording, and answered from the conversation they hold, without a
search. The prompts that were looked at: Open WebUI (all its tasks), LobeChat, Cherry Studio, NextChat, LibreChat,
Chatbox, as of 2026.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qa.chat.openai_models import ChatMessage
from qa.understanding.question import Question

_TITLE_CHARS = 50
_SUMMARY_CHARS = 400
_MAX_TAGS = 3
_ELLIPSIS = "…"

# Open WebUI: `### Task:`, then the JSON to answer with and the conversation; other prompts of this form are questions.
_TASK = re.compile(r"\s*#{1,6} ?task\b", re.IGNORECASE)
_JSON_KEY = re.compile(r'\{\s*"(title|tags|follow_ups|queries|text|prompt|tool_calls)"\s*:')
_DIALOGUE = re.compile(r"<(chat_history|conversation)>(.*?)(?:</\1>|\Z)", re.DOTALL)
_FENCED = re.compile(r"```\w*\n(.*?)```", re.DOTALL)
_CONTEXT = re.compile(r"<context>.*</context>", re.DOTALL)
_USER_QUERY = re.compile(r"<user_query>(.*?)</user_query>", re.DOTALL)
_TOOLS = re.compile(r"\s*available tools:", re.IGNORECASE)
# A conversation written out: a line for each that speaks, or a tag.
_SPEAKER = re.compile(
    r"^\s*(?:(?P<user>user|human|用户)|assistant|ai|system|session|助手|助理)\s*[:：]\s*(?P<said>.*)$", re.IGNORECASE
)
_TAGGED = re.compile(r"<(user|assistant)>(.*?)</\1>", re.DOTALL)
_RULE = re.compile(r"\n\s*-{3,}\s*\n")
# An instruction to name or sum up a conversation names what to make, the conversation, and how long it may be; unlike
# a question about such things it asks nothing.
_NAMES = re.compile(r"标题|主题|\btitles?\b|\btopics?\b|\bname\b", re.IGNORECASE)
_SUMS_UP = re.compile(r"总结|概括|摘要|\bsummar(?:y|i[sz]e)", re.IGNORECASE)
_CONVERSATION = re.compile(r"会话|对话|聊天|这句话|\bconversations?\b|\bchats?\b|\bdiscussions?\b", re.IGNORECASE)
_BOUND = re.compile(
    r"[\d一二三四五六七八九十百两]+ ?个?(?:字|词|汉字)|\b(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten)"
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
    if match := _USER_QUERY.search(text):
        return match[1].strip()
    if _TASK.match(text) and _CONTEXT.search(text):
        return _CONTEXT.split(text)[-1].strip() or text
    return text


def _open_webui(asked: str) -> str | None:
    if _CONTEXT.search(asked) or not (_DIALOGUE.search(asked) or _JSON_KEY.search(asked)):
        return None
    turns = _spoken(asked)
    key = _JSON_KEY.search(asked)
    made = _MAKERS[key[1]](turns) if key else None
    return json.dumps({key[1]: made}, ensure_ascii=False) if key else title(turns)


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
    questions = tuple(user_question(found.text) for found in messages if found.role == "user")
    return Turns(questions, tuple(found.text for found in messages if found.role == "assistant"))


def _spoken(text: str) -> Turns:
    """The conversation that is written out in a text: in tags or a fence, as JSON, as lines; empty where none is."""
    matches = (pattern.search(text) for pattern in (_DIALOGUE, _FENCED))
    enclosed = next((match.groups()[-1].strip() for match in matches if match), "")
    listed = _listed(enclosed or text)
    if listed is not None:
        return listed
    if tagged := _TAGGED.findall(enclosed):
        return Turns(*(tuple(said.strip() for role, said in tagged if role == who) for who in ("user", "assistant")))
    questions: list[str] = []
    answers: list[str] = []
    said: list[str] | None = None
    for line in (enclosed or text).splitlines():
        if match := _SPEAKER.match(line):
            said = questions if match["user"] else answers
            said.append(match["said"])
        elif said:
            said[-1] += f"\n{line}"
    if enclosed and not questions:  # Chatbox says not who speaks
        questions = [_RULE.split(enclosed)[0]]
    return Turns(tuple(found.strip() for found in questions), tuple(found.strip() for found in answers))


def _listed(text: str) -> Turns | None:
    """A conversation as a JSON list, as Cherry Studio writes it; it may be followed by a word to the model."""
    try:
        found, _ = json.JSONDecoder().raw_decode(text.strip())
    except ValueError:
        return None
    if not isinstance(found, list) or not all(isinstance(item, dict) and "role" in item for item in found):
        return None
    said = [(item["role"], str(item.get("mainText") or item.get("content") or "")) for item in found]
    return Turns(
        tuple(text for role, text in said if role == "user"), tuple(text for role, text in said if role != "user")
    )


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
    question = Question.of(turns.questions[0]) if turns.questions else None
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
