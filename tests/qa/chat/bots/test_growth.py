"""What is written to bots, and what they write, costs work in proportion to its length."""

from __future__ import annotations

import pytest

from qa.chat.bots import dingtalk, feishu, wecom
from qa.chat.bots.dispatcher import fitted, marked, runs
from qa.chat.bots.run import _QUERY
from qa.chat.bots.slack import typed
from qa.chat.card import Card, CardSource
from qa.chat.phrases import ENGLISH
from tests.growth import assert_linear, floods

pytestmark = pytest.mark.slow

MARKS = ("<@U", "<@U1|", "<#", "<a|", "&lt;", "@_user_", "@_all", "@a", "\x01", "\x02", "\x03", "\x04", "?a=", "?")


def test_what_people_write():
    assert typed("<@U1|bot> see <https://a.b|a.b> &lt;1&gt; <#C1|general>") == "  see a.b <1> general"
    assert_linear(typed, floods(MARKS))
    assert_linear(lambda text: feishu._MENTION.sub("", text), floods(MARKS))
    assert_linear(lambda text: wecom._MENTION.sub("", text), floods(MARKS))
    assert_linear(lambda text: _QUERY.sub("", text), floods(MARKS))


def test_cards():
    def write(text: str) -> None:
        source = CardSource(1, text[:100], "p", text[:100], "https://a.b")
        card = Card(ENGLISH, True, text[:50], (text, 1), (source,) * 20, (text[:500],))
        list(runs(marked(card)))
        fitted(card, marked, dingtalk._MAX_BYTES)

    assert_linear(write, floods(MARKS))
