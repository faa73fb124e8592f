"""Bounds on an evaluation, and what changed since an earlier one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from index.errors import QueryError
from qa.evaluation.evaluate import AskedQuestion, Evaluation, KindFigures, Tenth
from qa.evaluation.report import compare, judge, load_evaluation, make_gate
from tests.conftest import ROOT
from tests.qa.commands import assert_fails, run_qa
from tests.qa.servers import make_corpus


def figures(kind: str, **values: float | None) -> KindFigures:
    names = (
        "hit_at_1",
        "hit_at_5",
        "mrr_at_10",
        "ndcg_at_10",
        "answer_accuracy",
        "value_accuracy",
        "refused_right",
        "refused_wrong",
    )
    return KindFigures(kind=kind, n=1, **{name: values.get(name) for name in names})


def outcome(
    question: str, *, rank: int | None = 1, right: bool | None = True, answerable: bool = True
) -> AskedQuestion:
    status = "answered" if right is not None else "no_answer"
    return AskedQuestion(
        question=question,
        kind="a",
        rank=rank,
        ndcg=1.0,
        status=status,
        reason=None,
        confidence=0.5,
        answer=None,
        value=None,
        answer_right=bool(right) if answerable else None,
        value_right=None,
        is_answerable=answerable,
    )


def evaluation(*outcomes: AskedQuestion, hit: float = 0.8, wrongly: float = 0.1) -> Evaluation:
    return Evaluation(
        questions=len(outcomes),
        kinds=[figures("a", hit_at_1=hit), figures("b", value_accuracy=0.5)],
        total=figures("all", hit_at_1=hit, refused_wrong=wrongly),
        citations=4,
        citations_exact=3,
        latency_ms_p50=10,
        latency_ms_p99=20,
        reliability=[Tenth(low=0.5, n=1, said=0.5, was=1.0)],
        calibration_error=0.5,
        outcomes=list(outcomes),
    )


@pytest.mark.parametrize(
    ("at_least", "at_most", "missed"),
    [
        ([], [], []),
        (["hit@1=0.8", "a:hit@1=0.8", "b:value=0.5"], ["wrongly=0.1", "calibration=0.5", "p99_ms=20"], []),
        (["hit@1=0.81"], [], ["hit@1: is 0.8, must be at least 0.81"]),
        ([], ["wrongly=0.05"], ["wrongly: is 0.1, must be at most 0.05"]),
        (["citations=1"], ["p50_ms=9.5"], ["citations: is 0.75, must be at least 1", "p50_ms: is 10, must be at most"]),
        (["a:value=0.1"], [], ["a:value: no question measures it"]),
        (["hit@1=0.9", "hit@1=0.7"], [], []),
    ],
)
def test_bounds(at_least, at_most, missed):
    found = make_gate(None, at_least, at_most).missed(evaluation())
    assert len(found) == len(missed)
    assert all(line.startswith(words) for line, words in zip(found, missed, strict=True))


@pytest.mark.parametrize("text", ["min: {hit@1: 0.9}\nmax: {wrongly: 0.2}", '{"min": {"hit@1": 0.9}}'])
def test_bounds_in_a_file_and_flags_over_them(tmp_path, text):
    file = tmp_path / "gate.yaml"
    file.write_text(text, encoding="utf-8")
    assert make_gate(file, [], []).missed(evaluation()) == ["hit@1: is 0.8, must be at least 0.9"]
    assert make_gate(file, ["hit@1=0.5"], []).missed(evaluation()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("min: {hit1: 0.9}", "gate.yaml: hit1: is no figure; did you mean 'hit@1'"),
        ("min: {zz: 0.9}", "figures are hit@1, "),
        ("min: {a:p50_ms: 3}", "is no figure"),
        ("minimum: {}", "gate.yaml: minimum: "),
        ("min: {hit@1: high}", "gate.yaml: min.hit@1: "),
        ("min: [", "is not valid YAML"),
        ("- a", "gate.yaml: "),
    ],
)
def test_a_bad_gate_is_named(tmp_path, text, words):
    file = tmp_path / "gate.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(QueryError) as caught:
        make_gate(file, [], [])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bound", ["hit@1", "=1", "hit@1=", "hit@1=x", "hit@1=nan", "hits=0.5"])
def test_a_bad_flag_is_named(bound):
    with pytest.raises(QueryError, match="--min"):
        make_gate(None, [bound], [])
    with pytest.raises(QueryError, match="--max"):
        make_gate(None, [], [bound])


def test_a_kind_that_is_not_there():
    with pytest.raises(QueryError, match="no question is of the kind 'c'; there are a, b"):
        make_gate(None, ["c:hit@1=0"], []).missed(evaluation())


def test_questions_won_and_lost():
    old = evaluation(
        outcome("一"),
        outcome("二", rank=3, right=False),
        outcome("三"),
        outcome("无", right=True, answerable=False),
        outcome("旧"),
        hit=0.7,
    )
    new = evaluation(
        outcome("一"),
        outcome("二"),
        outcome("三", rank=2, right=None),
        outcome("无", right=None, answerable=False),
        outcome("新"),
        hit=0.8,
    )
    found = compare(old, new)
    assert found.questions == 4
    changes = {change.measure: (change.won, change.lost) for change in found.changes}
    assert changes == {
        "hit@1": (["二"], ["三"]),
        "answer": (["二"], ["三"]),
        "value": ([], []),
        "refusal": (["无"], ["三"]),
    }
    differing = [(found.kind, found.figure, found.old, found.new) for found in found.differences]
    assert differing == [("a", "hit@1", 0.7, 0.8), ("all", "hit@1", 0.7, 0.8)]


def test_nothing_changed():
    found = judge(evaluation(outcome("一")), make_gate(None, [], []), evaluation(outcome("一"))).comparison
    assert found.differences == []
    assert all(change.won == change.lost == [] for change in found.changes)


def test_earlier_results_can_be_read(tmp_path):
    # Written before recall and reliability were measured.
    assert load_evaluation(ROOT / "benchmarks" / "results" / "union.json").questions == 160
    (tmp_path / "old.json").write_text("{}", encoding="utf-8")
    with pytest.raises(QueryError, match=r"old\.json: is not what `qa eval --json` prints"):
        load_evaluation(tmp_path / "old.json")
    with pytest.raises(QueryError, match="No such file"):
        load_evaluation(tmp_path / "missing.json")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    make_corpus(tmp_path, "papers")
    (tmp_path / "papers" / "note.txt").write_text("鼓楼图书馆藏书52万册。\n", encoding="utf-8")
    (tmp_path / "q.jsonl").write_text(
        '{"question": "鼓楼图书馆有多少册书", "evidence": ["藏书52万册"], "answers": ["52万册"]}\n', encoding="utf-8"
    )
    return tmp_path


def test_on_the_command_line(base):
    done = run_qa("eval", "q.jsonl", "--min", "hit@1=1", "--max", "wrongly=0", "--json", folder=base)
    assert done.returncode == 0, done.stderr
    (base / "old.json").write_text(done.stdout, encoding="utf-8")
    (base / "gate.yaml").write_text("min: {refused: 0.5}\nmax: {answer: 0.2, p99_ms: 0}\n", encoding="utf-8")
    (base / "q.jsonl").write_text(
        '{"question": "鼓楼图书馆有多少册书", "evidence": ["藏书52万册"], "answers": ["53万册"]}\n', encoding="utf-8"
    )
    done = run_qa("eval", "q.jsonl", "--gate", "gate.yaml", "--compare", "old.json", folder=base)
    assert done.returncode == 1
    refused, latency = done.stderr.splitlines()
    assert refused == "missed refused: no question measures it, so it can't be at least 0.5"
    assert latency.startswith("missed p99_ms: is ")
    assert "compared over 1 questions" in done.stdout
    assert "answer: 0 won, 1 lost\n  - 鼓楼图书馆有多少册书\nvalue: 0 won, 1 lost" in done.stdout
    assert "was right" in done.stdout
    found = json.loads(run_qa("eval", "q.jsonl", "--compare", "old.json", "--json", folder=base).stdout)
    assert found["missed"] == []
    assert found["comparison"]["changes"][1] == {"measure": "answer", "won": [], "lost": ["鼓楼图书馆有多少册书"]}


def test_a_bad_bound_is_found_before_any_work(base):
    assert_fails(run_qa("eval", "q.jsonl", "--min", "hitt@1=1", folder=base), 2, "did you mean 'hit@1'")
    assert not (base / "data").exists()
