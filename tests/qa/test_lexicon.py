"""Dictionary and synonyms from the configuration to the answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from qa.engine import Engine
from tests.qa.commands import assert_fails, run_qa


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.txt").write_text("全国总工会去年向困难职工发放采暖补助300万元。", encoding="utf-8")
    (tmp_path / "docs/b.txt").write_text("省旅游局去年新开了许多酒店。\n\n今年的天气很好。", encoding="utf-8")
    (tmp_path / "config.yaml").write_text("corpus: [docs]\ndictionary: dictionary.txt\nsynonyms: synonyms.txt\n")
    (tmp_path / "dictionary.txt").write_text("全总 500 nt\n", encoding="utf-8")
    (tmp_path / "synonyms.txt").write_text("", encoding="utf-8")
    return tmp_path


def test_synonyms_lead_to_the_answer(base: Path) -> None:
    question = "全总发放了多少暖气费"
    engine = Engine.open(base / "config.yaml")
    engine.index()
    before = engine.ask(question)
    (base / "synonyms.txt").write_text("总工会,全国总工会,全总\n采暖补助，暖气费\n", encoding="utf-8")
    after = Engine.open(base / "config.yaml").ask(question)
    assert after.answer is not None and after.answer.value == "300万元"
    assert before.answer is None or before.answer.confidence < after.answer.confidence
    assert after.index.generation == before.index.generation
    text = "全国总工会去年向困难职工发放采暖补助300万元。"
    assert {"全国总工会", "发放采暖补助"} == {text[start:end] for start, end in engine_highlights(base, question)}


def engine_highlights(base: Path, question: str) -> list[tuple[int, int]]:
    (hit,) = Engine.open(base / "config.yaml").search(question, top_k=1).hits
    return list(hit.highlights)


def test_a_server_follows_a_dictionary_that_another_process_indexed_with(base: Path) -> None:
    engine = Engine.open(base / "config.yaml")
    engine.index()
    (base / "dictionary.txt").write_text("采暖补助 500 n\n", encoding="utf-8")
    assert engine.search("采暖补助").hits
    assert run_qa("index", folder=base).returncode == 0
    assert engine.search("采暖补助").hits
    assert engine.store.document_frequency("采暖补助") == 1


def test_commands_say_what_is_wrong_and_what_to_do(base: Path) -> None:
    assert run_qa("index", folder=base).returncode == 0
    doctor = run_qa("doctor", folder=base)
    assert doctor.returncode == 0, doctor.stdout
    assert f"dictionary: 1 words in {base / 'dictionary.txt'}" in doctor.stdout
    (base / "dictionary.txt").write_text("帮扶中心 100 nt\n", encoding="utf-8")
    assert_fails(run_qa("ask", "发放了什么", folder=base), 3, "run: qa index")
    (base / "dictionary.txt").write_text("帮扶 中心\n", encoding="utf-8")
    assert_fails(run_qa("index", folder=base), 2, "dictionary.txt, line 1: '帮扶 中心' is not")
    assert "FAIL  dictionary and synonyms" in run_qa("doctor", folder=base).stdout
