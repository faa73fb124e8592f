"""What an evaluation says: whether it is good enough, what changed since an earlier one, and all that on a terminal."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from index.errors import QueryError
from qa.evaluation.evaluate import AskedQuestion, Evaluation, KindFigures, Tenth

# The names of figures, as the table calls them.
FIGURES = {
    "hit@1": "hit_at_1",
    "hit@5": "hit_at_5",
    "mrr@10": "mrr_at_10",
    "ndcg@10": "ndcg_at_10",
    "recall@10": "recall_at_10",
    "answer": "answer_accuracy",
    "value": "value_accuracy",
    "refused": "refused_right",
    "wrongly": "refused_wrong",
}
_OF_ALL: Mapping[str, Callable[[Evaluation], float | None]] = {
    "citations": lambda evaluation: evaluation.citations_exact / evaluation.citations if evaluation.citations else None,
    "calibration": lambda evaluation: evaluation.calibration_error,
    "p50_ms": lambda evaluation: evaluation.latency_ms_p50,
    "p99_ms": lambda evaluation: evaluation.latency_ms_p99,
}
# Elsewhere than on a terminal the width is a guess, and cutting figures off helps nobody.
_LEAST_WIDTH = 100
_HEADERS = {"mrr@10": "MRR", "ndcg@10": "nDCG", "recall@10": "recall"}
_console = Console(highlight=False, soft_wrap=True)
# What can be won or lost on a question.
_MEASURES: Mapping[str, Callable[[AskedQuestion], bool | None]] = {
    "hit@1": lambda asked: asked.rank == 1 if asked.is_answerable else None,
    "answer": lambda asked: asked.answer_right,
    "value": lambda asked: asked.value_right,
    "refusal": lambda asked: (asked.status == "no_answer") != asked.is_answerable,
}


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    min: dict[str, float] = {}
    max: dict[str, float] = {}


@dataclass(frozen=True, slots=True)
class QualityGate:
    """Bounds by figure: a name of `FIGURES`, or `KIND:NAME` for one kind of question."""

    at_least: dict[str, float] = field(default_factory=dict)
    at_most: dict[str, float] = field(default_factory=dict)

    def missed(self, evaluation: Evaluation) -> list[str]:
        """One line a bound that is not kept.

        Raises:
            QueryError: a bound names a kind of question that is not there.
        """
        return [*_missed(evaluation, self.at_least, "at least"), *_missed(evaluation, self.at_most, "at most")]


class WonAndLost(BaseModel):
    """Questions that one measure now holds right and did not before (`won`), and the reverse."""

    measure: str
    won: list[str]
    lost: list[str]


class Difference(BaseModel):
    """A figure of one kind of question, before and now."""

    kind: str
    figure: str
    old: float
    new: float


class Comparison(BaseModel):
    """What changed since an earlier evaluation, over the questions that both asked."""

    questions: int
    changes: list[WonAndLost]
    differences: list[Difference]


class JudgedEvaluation(Evaluation):
    """An evaluation with what a gate and a comparison say of it."""

    missed: list[str] = []
    comparison: Comparison | None = None


def judge(evaluation: Evaluation, gate: QualityGate, old: Evaluation | None = None) -> JudgedEvaluation:
    """Hold an evaluation against a gate, and against an earlier one; see `QualityGate.missed` for errors."""
    comparison = compare(old, evaluation) if old else None
    return JudgedEvaluation.model_validate(
        {**dict(evaluation), "missed": gate.missed(evaluation), "comparison": comparison}
    )


def make_gate(file: Path | None, at_least: Sequence[str], at_most: Sequence[str]) -> QualityGate:
    """The bounds of a YAML or JSON file (`min`, `max`) with those of FIGURE=NUMBER texts over them.

    Raises:
        QueryError: names what can't be used.
    """
    written = _load(file) if file else _File()
    for bounds in (written.min, written.max):
        for name in bounds:
            _check(name, str(file))
    return QualityGate(
        {**written.min, **dict(_bound(text, "--min") for text in at_least)},
        {**written.max, **dict(_bound(text, "--max") for text in at_most)},
    )


def load_evaluation(file: Path) -> Evaluation:
    """What `qa eval --json` printed earlier; raises QueryError."""
    try:
        return Evaluation.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        raise QueryError(f"{file}: {getattr(exc, 'strerror', None) or 'is not UTF-8'}") from exc
    except ValidationError as exc:
        raise QueryError(f"{file}: is not what `qa eval --json` prints ({exc.errors()[0]['msg']})") from exc


def compare(old: Evaluation, new: Evaluation) -> Comparison:
    """Questions won and lost, and figures by kind that differ."""
    before = {(asked.question, asked.kind): asked for asked in old.outcomes}
    pairs = [
        (before[key].model_copy(update={"is_answerable": asked.is_answerable}), asked)
        for asked in new.outcomes
        if (key := (asked.question, asked.kind)) in before
    ]
    changes = [
        WonAndLost(
            measure=measure,
            won=[now.question for was, now in pairs if is_right(now) and not is_right(was)],
            lost=[now.question for was, now in pairs if is_right(was) and not is_right(now)],
        )
        for measure, is_right in _MEASURES.items()
    ]
    return Comparison(questions=len(pairs), changes=changes, differences=list(_differences(old, new)))


def _differences(old: Evaluation, new: Evaluation) -> Iterator[Difference]:
    before = {figures.kind: figures for figures in [*old.kinds, old.total]}
    for figures in [*new.kinds, new.total]:
        for name, attribute in FIGURES.items():
            was, now = getattr(before.get(figures.kind), attribute, None), getattr(figures, attribute)
            if was is not None and now is not None and was != now:
                yield Difference(kind=figures.kind, figure=name, old=was, new=now)


def _missed(evaluation: Evaluation, bounds: Mapping[str, float], word: str) -> Iterator[str]:
    for name, bound in bounds.items():
        value = _figure(evaluation, name)
        if value is None:
            yield f"{name}: no question measures it, so it can't be {word} {bound:g}"
        elif value < bound if word == "at least" else value > bound:
            yield f"{name}: is {value:.4g}, must be {word} {bound:g}"


def _figure(evaluation: Evaluation, name: str) -> float | None:
    kind, _, figure = name.rpartition(":")
    if not kind and figure in _OF_ALL:
        return _OF_ALL[figure](evaluation)
    groups: dict[str, KindFigures] = {figures.kind: figures for figures in evaluation.kinds} | {"": evaluation.total}
    if kind not in groups:
        raise QueryError(f"{name}: no question is of the kind {kind!r}; there are {', '.join(filter(None, groups))}")
    value: float | None = getattr(groups[kind], FIGURES[figure])
    return value


def _load(file: Path) -> _File:
    try:
        written = yaml.safe_load(file.read_text(encoding="utf-8"))
        return _File.model_validate({} if written is None else written)
    except (OSError, UnicodeDecodeError) as exc:
        raise QueryError(f"{file}: {getattr(exc, 'strerror', None) or 'is not UTF-8'}") from exc
    except yaml.YAMLError as exc:
        raise QueryError(f"{file}: is not valid YAML: {' '.join(str(exc).split())}") from exc
    except ValidationError as exc:
        problem = exc.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise QueryError(
            f"{file}: {where}: {problem['msg']}; write `min:` and `max:`, each with `figure: number` lines"
        ) from exc


def _bound(text: str, option: str) -> tuple[str, float]:
    name, _, number = text.rpartition("=")
    try:
        bound = float(number)
    except ValueError:
        bound = float("nan")
    if not name or bound != bound:
        raise QueryError(f"{option} {text}: write FIGURE=NUMBER, such as hit@1=0.84")
    _check(name, option)
    return name, bound


def _check(name: str, source: str) -> None:
    kind, _, figure = name.rpartition(":")
    known = [*FIGURES, *([] if kind else _OF_ALL)]
    if figure not in known:
        near = difflib.get_close_matches(figure, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"figures are {', '.join(known)}"
        raise QueryError(f"{source}: {name}: is no figure; {hint}")


def print_evaluation(result: JudgedEvaluation, console: Console = _console) -> None:
    """KindFigures by kind of question and over all, how far the confidence can be believed, and what changed."""
    if not console.is_terminal:
        console.width = max(console.width, _LEAST_WIDTH)
    console.print(_figure_table(result))
    console.print(
        "MRR, nDCG and recall at 10. refused: unanswerable questions refused; wrongly: answerable ones refused.\n"
        f"citations exact: {result.citations_exact} of {result.citations}   "
        f"latency p50 {result.latency_ms_p50:.1f} ms, p99 {result.latency_ms_p99:.1f} ms"
    )
    if result.reliability:
        console.print()
        console.print(_reliability_table(result.reliability))
        console.print(f"mean distance of what was said from what was: {result.calibration_error:.3f}")
    if result.comparison:
        console.print()
        _print_comparison(result.comparison, console)


def _figure_table(result: Evaluation) -> Table:
    table = _table(f"{result.questions} questions", "kind", "n", *(_HEADERS.get(name, name) for name in FIGURES))
    for group in [*result.kinds, result.total]:
        figures = (getattr(group, attribute) for attribute in FIGURES.values())
        style = "bold" if group is result.total else None
        table.add_row(group.kind, str(group.n), *("–" if x is None else f"{x:.3f}" for x in figures), style=style)
    return table


def _reliability_table(tenths: list[Tenth]) -> Table:
    table = _table("confidence of the answers given", "tenth", "answers", "said", "was right")
    for tenth in tenths:
        table.add_row(f"{tenth.low:.1f}-{tenth.low + 0.1:.1f}", str(tenth.n), f"{tenth.said:.3f}", f"{tenth.was:.3f}")
    return table


def _print_comparison(comparison: Comparison, console: Console) -> None:
    console.print(f"compared over {comparison.questions} questions")
    for change in comparison.changes:
        console.print(Text(f"{change.measure}: {len(change.won)} won, {len(change.lost)} lost", "bold"))
        for sign, style, questions in (("+", "green", change.won), ("-", "red", change.lost)):
            for question in questions:
                console.print(Text(f"  {sign} {question}", style))
    if comparison.differences:
        table = _table("figures that differ", "kind", "figure", "before", "now", "change")
        for difference in comparison.differences:
            was, now = difference.old, difference.new
            table.add_row(difference.kind, difference.figure, f"{was:.3f}", f"{now:.3f}", f"{now - was:+.3f}")
        console.print()
        console.print(table)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=0)
    for column in columns:
        table.add_column(column, justify="left" if column in ("kind", "figure") else "right", no_wrap=True)
    return table
