"""Answers what people ask bots: repeats dropped, a rate kept, conversations apart, answers in threads.

What is sent is a card; below stands how one is kept within a platform's limits, and how it is written where no markup
is taken.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from queue import SimpleQueue

from cachetools import TTLCache
from limits import RateLimitItemPerMinute, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from index.errors import QueryError
from qa.chat.card import MARKDOWN, Card, Dialect, card_of, escape_plain, render, safe_url
from qa.chat.phrases import BotSentence, bot_sentence, phrases_for
from qa.engine import Engine
from qa.schemas import MAX_ANSWER_CHARS, MAX_QUERY_CHARS
from qa.understanding.conversation import Turn

logger = logging.getLogger(__name__)

# Events are sent again for hours when they were not acknowledged (飞书: after 15 s, 5 min, 1 h, 6 h).
_REPEATS_KEPT, _REPEATED_WITHIN_S = 20_000, 8 * 3600
_CONVERSATIONS_KEPT = 5_000
# How often one person is told that it is too much.
_NOTICES = RateLimitItemPerMinute(1)

_LEAST_TEXT = 300

# Marks around what is strong or a link; the escaping of texts leaves none of them.
_STRONG, _LINK, _LABEL, _END = "\x01", "\x02", "\x03", "\x04"
_RUN = re.compile(
    f"{_STRONG}(?P<strong>[^{_END}]*){_END}|{_LINK}(?P<url>[^{_LABEL}]*){_LABEL}(?P<label>[^{_END}]*){_END}"
)

Answer = Callable[[Card], None]


@dataclass(frozen=True, slots=True)
class BotMessage:
    """What a person asked a bot.

    `id` is the vendor's name of the message, the same when it comes again. Turns are shared by questions of the same
    `conversation`; `text` is without the bot's mention, and empty when the message holds none.
    """

    id: str
    conversation: str
    user: str
    text: str


class Dispatcher:
    """Takes questions at once and answers them when their turn comes, those of one conversation in their order.

    >>> dispatcher.submit(BotMessage("m1", "chat1:ada", "ada", "兰州帮扶中心资助了多少学生"), send_card)
    True
    """

    def __init__(self, engine: Engine) -> None:
        settings = engine.config.bots
        self._engine, self._settings = engine, settings
        self._base_url = engine.config.server.public_url or ""
        self._seen: TTLCache[str, bool] = TTLCache(_REPEATS_KEPT, _REPEATED_WITHIN_S)
        self._turns: TTLCache[str, tuple[Turn, ...]] = TTLCache(_CONVERSATIONS_KEPT, settings.forget_after_s)
        self._limit = parse(settings.rate_limit) if settings.rate_limit else None
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        # What waits or is being answered, by conversation, and conversations in the order of their turn.
        self._waiting: dict[str, deque[tuple[BotMessage, Answer]]] = {}
        self._ready: SimpleQueue[str | None] = SimpleQueue()
        self._pending = 0
        self._is_closed = False
        self._changed = threading.Condition()
        self._notices = ThreadPoolExecutor(1, "notices")
        self._workers = [
            threading.Thread(target=self._work, name=f"answers-{number}", daemon=True)
            for number in range(settings.workers)
        ]
        for worker in self._workers:
            worker.start()

    def submit(self, question: BotMessage, answer: Answer) -> bool:
        """Whether the question will be answered; returns at once and never raises.

        `answer` is called in another thread, with a card; also with a sentence for a question that is refused.
        """
        with self._changed:
            if self._is_closed or question.id in self._seen:
                return False
            self._seen[question.id] = True
            refusal = self._refusal(question)
            if refusal is None:
                self._enqueue(question, answer)
                return True
        if self._limiter.hit(_NOTICES, refusal, question.user):
            with suppress(RuntimeError):  # closed meanwhile
                self._notices.submit(self._reply, answer, say(refusal, question.text), question)
        return False

    def remembers(self, conversation: str) -> bool:
        """Whether there are turns that a question of this conversation may lean on."""
        with self._changed:
            return conversation in self._turns

    def close(self, grace_s: float) -> None:
        """Take no more questions, and wait until those taken are answered, but not longer than `grace_s`."""
        with self._changed:
            self._is_closed = True
            if not self._changed.wait_for(lambda: self._pending == 0, grace_s):
                logger.warning("%d questions stay without an answer", self._pending)
        for _ in self._workers:
            self._ready.put(None)
        self._notices.shutdown(wait=False, cancel_futures=True)

    def _refusal(self, question: BotMessage) -> BotSentence | None:
        if self._limit is not None and not self._limiter.hit(self._limit, "questions", question.user):
            return "too_often"
        if not question.text.strip():
            return "no_text"
        if len(question.text) > MAX_QUERY_CHARS:
            return "too_long"
        return "busy" if self._pending >= self._settings.max_waiting else None

    def _enqueue(self, question: BotMessage, answer: Answer) -> None:
        self._pending += 1
        if question.conversation not in self._waiting:
            self._waiting[question.conversation] = deque()
            self._ready.put(question.conversation)
        self._waiting[question.conversation].append((question, answer))

    def _work(self) -> None:
        while (conversation := self._ready.get()) is not None:
            question, answer = self._waiting[conversation][0]
            self._reply(answer, self._card(question), question)
            with self._changed:
                self._waiting[conversation].popleft()
                if self._waiting[conversation]:
                    self._ready.put(conversation)
                else:
                    del self._waiting[conversation]
                self._pending -= 1
                self._changed.notify_all()

    def _card(self, question: BotMessage) -> Card:
        """The answer, or a sentence when it fails: what went wrong is ours to read in the log."""
        with self._changed:
            turns = self._turns.get(question.conversation, ())
        try:
            response = self._engine.ask(question.text, history=turns)
        except QueryError:
            return say("no_text", question.text)
        except Exception:
            logger.exception("message %s could not be answered", question.id)
            return say("failed", question.text)
        told = response.answer.text[:MAX_ANSWER_CHARS] if response.answer else ""
        latest = (*turns, Turn(question.text, told))[-self._settings.turns :] if self._settings.turns else ()
        with self._changed:
            self._turns[question.conversation] = latest
        return card_of(response, self._base_url)

    def _reply(self, answer: Answer, card: Card, question: BotMessage) -> None:
        try:
            answer(card)
        except Exception as exc:
            logger.error("message %s: the answer could not be sent: %s: %s", question.id, type(exc).__name__, exc)


def say(sentence: BotSentence, question: str) -> Card:
    """A card that is only a sentence, in the language of `question`."""
    return Card(phrases_for(question), False, None, (bot_sentence(sentence, question),), (), ())


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text, shown as it is: a link when it has a `url`."""

    text: str
    url: str | None = None
    is_strong: bool = False


def linked(dialect: Dialect) -> Dialect:
    """A dialect where a source has no link when its URL leads nowhere from a chat (server.public_url is not set)."""
    return replace(dialect, link=lambda label, url: dialect.link(label, url) if "://" in url else label)


RUNS = linked(
    Dialect(
        escape=escape_plain,
        link=lambda label, url: f"{_LINK}{safe_url(url)}{_LABEL}{label}{_END}",
        strong=lambda text: f"{_STRONG}{text}{_END}",
        mark=lambda n: f" [{n}]",
    )
)
markdown = partial(render, dialect=linked(MARKDOWN))
marked = partial(render, dialect=RUNS)


def runs(written: str) -> Iterator[Run]:
    """The runs of what `marked` wrote."""
    end = 0
    for match in _RUN.finditer(written):
        if match.start() > end:
            yield Run(written[end : match.start()])
        strong = match["strong"]
        yield Run(match["label"], match["url"]) if strong is None else Run(strong, is_strong=True)
        end = match.end()
    if end < len(written):
        yield Run(written[end:])


def utf8_size(text: str) -> int:
    """The bytes of a text in UTF-8."""
    return len(text.encode())


def fitted(card: Card, write: Callable[[Card], str], limit: int, size: Callable[[str], int] = utf8_size) -> str:
    """The card as `write` gives it, its text cut and its last sources left out until its size is within `limit`."""
    while size(written := write(card)) > limit:
        if len(card.text) > _LEAST_TEXT:
            card = replace(card, parts=_shortened(card.parts, len(card.text) * 3 // 4))
        elif card.sources:
            card = replace(card, sources=card.sources[:-1])
        elif card.notes:
            card = replace(card, notes=())
        else:
            # A short answer that is as long as a message; what is left has no sources to lose.
            return written[: limit // 4]
    return written


def _shortened(parts: tuple[str | int, ...], chars: int) -> tuple[str | int, ...]:
    shortened: list[str | int] = []
    for part in parts:
        if isinstance(part, str):
            if len(part) >= chars:
                return (*shortened, f"{part[:chars].rstrip()}…")
            chars -= len(part)
        shortened.append(part)
    return tuple(shortened)
