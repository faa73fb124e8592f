from __future__ import annotations

import random

import pytest

from index.chunking.damage import find_damage
from tests.conftest import seed


def damaged(text: str) -> list[str]:
    return [text[start:end] for start, end in find_damage(text)]


def test_every_damaged_place_of_the_seeds_and_no_other():
    assert [damaged(seed(number)) for number in range(4)] == [[], [], [], []]
    text = seed(4)
    assert [(text.count("\n", 0, start) + 1, text[start:end]) for start, end in find_damage(text)] == [
        (19, "?;鶎庸刹块L"),
        (33, "?!钡囊螅灰跃蜆I"),
        (33, "?;?"),
        (60, "??梢钥闯觯珖舷聦ぷ鞫际种匾暎@"),
        (124, "??梢哉f"),
        (126, "?;?"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "在服務發展中實現自身的發展?是碌碌無為,還是奮發有為?這是重要考驗。",
        "真的吗??他问。不会吧?!当然;为什么?因为A股和B股不同,X市100多名会员参加卡拉OK比赛。",
        "工会？！“什么?”他说;“没有?”",
        "アルバム『恋の予感』は続行しますか?という警告が表示されます。",
        "光之美少女プリキュア、龍貓となりのトトロ、ﾊﾝｶｸ",
        "Größe, naïve café — “señor” ¿qué? €100 ½ Привет мир ελληνικά",
        "学士学位、原始凭证、学习目录、顧客の残高",
        "https://example.com/?a=1;b=2 职工?;",
        "🙂 二〇一三年 ①②③ №5 ㎡ ℃ ∑ → ■□ \uf0b7 项目",
        "",
    ],
)
def test_what_is_only_odd_is_not_damaged(text):
    assert damaged(text) == []


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("职工\ufffd\ufffd会员", ["\ufffd\ufffd"]),
        ("职工\x01会\ue123员", ["\x01会\ue123"]),
        ("经ｶ费", ["ｶ"]),
        ("会员名单".encode().decode("gb18030", "replace"), None),
        ("他说：锟斤拷锟斤拷", ["锟斤拷锟斤拷"]),
        ("It’s".encode().decode("cp1252"), ["â€™"]),
        ("中国工会".encode("gb18030").decode("latin-1"), None),
        ("", []),
    ],
)
def test_kinds_of_damage(text, spans):
    assert damaged(text) == ([text] if spans is None else spans)


def test_a_lost_byte_is_found_wherever_it_was():
    chance = random.Random(1)
    text = "".join(seed(number) for number in (0, 1, 2)).replace("\n", "")
    found = sound = 0
    for _ in range(300):
        start = chance.randrange(len(text) - 40)
        clause = text[start : start + 40]
        data = clause.encode("gb18030")
        at = 2 * chance.randrange(8, 20)
        if len(data) != 80:  # all of it double bytes, or the shift ends at once
            continue
        broken = (data[:at] + b"?" + data[at + 1 :]).decode("gb18030", "replace")
        sound += 1
        found += bool(find_damage(broken))
    assert sound > 20
    assert found / sound > 0.9
