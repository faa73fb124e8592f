from __future__ import annotations

import math
from pathlib import Path

import pytest

from index.errors import QueryError
from qa.configuration.config import Config, load_config
from qa.engine import Engine
from qa.evaluation.evaluate import EvalQuestion, Evaluation, KindFigures, evaluate, load_questions
from qa.evaluation.report import make_gate
from tests.conftest import CANONICAL, ROOT

UNION = ROOT / "benchmarks" / "union_questions.jsonl"


def write(folder: Path, *lines: str) -> Path:
    file = folder / "questions.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def test_questions_are_read(tmp_path):
    file = write(
        tmp_path,
        '\ufeff{"question": "一", "evidence": ["甲"], "answers": ["1"], "answers_mode": "all", "kind": "number"}',
        "",
        '{"question": "二"}',
    )
    first, second = load_questions(file)
    assert first == EvalQuestion(question="一", evidence=["甲"], answers=["1"], answers_mode="all", kind="number")
    assert (second.kind, second.answers_mode) == ("any", "any")
    assert (first.is_answerable, second.is_answerable) == (True, False)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "questions.jsonl:3: "),
        ("[]", "questions.jsonl:3: "),
        ("{}", "questions.jsonl:3: question: "),
        ('{"question": ""}', "questions.jsonl:3: question: "),
        ('{"question": "x", "answers": "y"}', "questions.jsonl:3: answers: "),
        ('{"question": "x", "evidence": [1]}', "questions.jsonl:3: evidence.0: "),
        ('{"question": "x", "answers_mode": "some"}', "questions.jsonl:3: answers_mode: "),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, words):
    with pytest.raises(QueryError) as caught:
        load_questions(write(tmp_path, '{"question": "x"}', "", line))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bad_file_is_named(tmp_path):
    with pytest.raises(QueryError, match=r"missing\.jsonl: No such file"):
        load_questions(tmp_path / "missing.jsonl")
    with pytest.raises(QueryError, match="Is a directory"):
        load_questions(tmp_path)
    with pytest.raises(QueryError, match="holds no questions"):
        load_questions(write(tmp_path, "", " "))
    (tmp_path / "gbk.jsonl").write_bytes('{"question": "问"}'.encode("gbk"))
    with pytest.raises(QueryError, match=r"gbk\.jsonl: is not UTF-8"):
        load_questions(tmp_path / "gbk.jsonl")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """Three documents of one passage each."""
    base = tmp_path_factory.mktemp("evaluate")
    (base / "docs").mkdir()
    for name, text in {
        "library": "城东图书馆藏书52万册,由建筑师林致远设计。",
        "pool": "游泳馆的水池长50米,每年接待游客30万人次。",
        "bridge": "跨江大桥于1997年通车,总投资12亿元。",
    }.items():
        (base / "docs" / f"{name}.txt").write_text(text + "\n", encoding="utf-8")
    (base / "config.yaml").write_text("corpus: docs\n", encoding="utf-8")
    engine = Engine(load_config(base / "config.yaml"))
    engine.index()
    return engine


def ask(question: str, evidence: str, *answers: str, kind: str = "a", mode: str = "any") -> EvalQuestion:
    return EvalQuestion(question=question, evidence=[evidence], answers=answers, kind=kind, answers_mode=mode)


def test_figures_are_those_worked_out_by_hand(engine):
    questions = [
        ask("城东图书馆有多少册书", "藏书 52万 册", "52万册"),
        ask("跨江大桥哪一年通车", "1997年", "1998年"),  # a wrong expectation: found, answered, but not as expected
        ask("跨江大桥总投资多少钱", "没有这句话", "12亿元", kind="b"),  # no passage holds the evidence
        ask("游泳馆每年接待多少游客", "水池", "30万人次", "50米", kind="b", mode="all"),
        EvalQuestion(question="敦煌的月牙泉有多深", kind="none"),
    ]
    asked: list[tuple[str, int, int]] = []
    found = evaluate(engine, questions, progress=lambda *step: asked.append(step))
    assert [step[1:] for step in asked] == [(number, 5) for number in range(5)]
    assert [outcome.rank for outcome in found.outcomes] == [1, 1, None, 1, None]
    assert [outcome.value for outcome in found.outcomes] == ["52万册", "1997年", "12亿元", "30万人次", None]
    assert [outcome.answer_right for outcome in found.outcomes] == [True, False, True, True, None]
    assert [outcome.value_right for outcome in found.outcomes] == [True, False, True, True, None]
    assert found.total == KindFigures(
        kind="all",
        n=5,
        hit_at_1=0.75,
        hit_at_5=0.75,
        mrr_at_10=0.75,
        ndcg_at_10=0.75,
        recall_at_10=0.75,
        answer_accuracy=0.75,
        value_accuracy=0.75,
        refused_right=1.0,
        refused_wrong=0.0,
    )
    a, b, none = found.kinds
    assert (a.kind, a.n, a.hit_at_1, a.answer_accuracy, a.refused_right) == ("a", 2, 1.0, 0.5, None)
    assert (b.kind, b.n, b.hit_at_1, b.answer_accuracy, b.refused_wrong) == ("b", 2, 0.5, 1.0, 0.0)
    assert (none.kind, none.n, none.hit_at_1, none.refused_right, none.refused_wrong) == ("none", 1, None, 1.0, None)
    assert found.citations == found.citations_exact > 0
    assert 0 < found.latency_ms_p50 <= found.latency_ms_p99


def test_rank_counts_in_mrr_and_ndcg(engine):
    hits = engine.search("城东图书馆藏书多少册").hits
    second = hits[1].text.strip()
    found = evaluate(engine, [ask("城东图书馆藏书多少册", second)])
    (outcome,) = found.outcomes
    assert outcome.rank in (2, 3)
    assert found.total.hit_at_1 == 0
    assert found.total.hit_at_5 == 1
    assert found.total.mrr_at_10 == pytest.approx(1 / outcome.rank)
    assert found.total.ndcg_at_10 == pytest.approx(1 / math.log2(outcome.rank + 1))
    assert found.total.answer_accuracy is None


@pytest.fixture(scope="module")
def union(seeds_config: Config, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """The shipped questions on the shipped documents with the bundled model."""
    base = tmp_path_factory.mktemp("union")
    (base / "config.yaml").write_text(f"corpus: [{seeds_config.base / 'seeds'}]\n", encoding="utf-8")
    engine = Engine(load_config(base / "config.yaml"))
    engine.index()
    return evaluate(engine, load_questions(UNION))


def test_gate_on_the_shipped_questions(union):
    """What issue 2 promises. Chinese is every kind but `english`."""
    assert union.questions == 160
    answerable = [found for found in union.outcomes if found.kind != "unanswerable"]
    ranks = {
        is_english: [found.rank for found in answerable if (found.kind == "english") == is_english]
        for is_english in (False, True)
    }
    chinese, english = ranks[False], ranks[True]
    assert len(chinese) > 100
    assert len(english) > 10
    assert sum(rank == 1 for rank in chinese) / len(chinese) >= 0.84
    assert sum(rank is not None and rank <= 5 for rank in chinese) / len(chinese) >= 0.96
    assert sum(rank is not None and rank <= 5 for rank in english) / len(english) >= 0.40
    assert union.citations == union.citations_exact > 1000


def test_the_shipped_gate_is_kept(union):
    assert make_gate(ROOT / "benchmarks" / "gate.yaml", [], []).missed(union) == []


def test_canonical_question_of_the_shipped_ones(union):
    (found,) = [outcome for outcome in union.outcomes if outcome.question == CANONICAL]
    assert (found.rank, found.status, found.value, found.answer_right, found.value_right) == (
        1,
        "answered",
        "1097名",
        True,
        True,
    )
    assert "2436" not in found.answer
