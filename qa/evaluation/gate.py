"""Whether an evaluation is good enough, and what changed since an earlier one."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from index.errors import QueryError
from qa.evaluation.evaluate import Evaluation, Figures, Outcome

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
    "citations": lambda found: found.citations_exact / found.citations if found.citations else None,
    "calibration": lambda found: found.calibration_error,
    "p50_ms": lambda found: found.latency_ms_p50,
    "p99_ms": lambda found: found.latency_ms_p99,
}
# What can be won or lost on a question.
_MEASURES: Mapping[str, Callable[[Outcome], bool | None]] = {
    "hit@1": lambda found: found.rank == 1 if found.is_answerable else None,
    "answer": lambda found: found.answer_right,
    "value": lambda found: found.value_right,
    "refusal": lambda found: (found.status == "no_answer") != found.is_answerable,
}


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    min: dict[str, float] = {}
    max: dict[str, float] = {}


@dataclass(frozen=True, slots=True)
class Gate:
    """Bounds by figure: a name of `FIGURES`, or `KIND:NAME` for one kind of question."""

    at_least: dict[str, float] = field(default_factory=dict)
    at_most: dict[str, float] = field(default_factory=dict)

    def missed(self, found: Evaluation) -> list[str]:
        """One line a bound that is not kept.

        Raises:
            QueryError: a bound names a kind of question that is not there.
        """
        return [*_missed(found, self.at_least, "at least"), *_missed(found, self.at_most, "at most")]


class Change(BaseModel):
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
    changes: list[Change]
    differences: list[Difference]


class JudgedEvaluation(Evaluation):
    """An evaluation with what a gate and a comparison say of it."""

    missed: list[str] = []
    comparison: Comparison | None = None


def judge(found: Evaluation, gate: Gate, old: Evaluation | None = None) -> JudgedEvaluation:
    """Hold an evaluation against a gate, and against an earlier one; see `Gate.missed` for errors."""
    comparison = compare(old, found) if old else None
    return JudgedEvaluation.model_validate({**dict(found), "missed": gate.missed(found), "comparison": comparison})


def make_gate(file: Path | None, at_least: Sequence[str], at_most: Sequence[str]) -> Gate:
    """The bounds of a YAML or JSON file (`min`, `max`) with those of FIGURE=NUMBER texts over them.

    Raises:
        QueryError: names what can't be used.
    """
    written = _load(file) if file else _File()
    for bounds in (written.min, written.max):
        for name in bounds:
            _check(name, str(file))
    return Gate(
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
    before = {(found.question, found.kind): found for found in old.outcomes}
    pairs = [
        (before[key].model_copy(update={"is_answerable": found.is_answerable}), found)
        for found in new.outcomes
        if (key := (found.question, found.kind)) in before
    ]
    changes = [
        Change(
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


def _missed(found: Evaluation, bounds: Mapping[str, float], word: str) -> Iterator[str]:
    for name, bound in bounds.items():
        value = _figure(found, name)
        if value is None:
            yield f"{name}: no question measures it, so it can't be {word} {bound:g}"
        elif value < bound if word == "at least" else value > bound:
            yield f"{name}: is {value:.4g}, must be {word} {bound:g}"


def _figure(found: Evaluation, name: str) -> float | None:
    kind, _, figure = name.rpartition(":")
    if not kind and figure in _OF_ALL:
        return _OF_ALL[figure](found)
    groups: dict[str, Figures] = {figures.kind: figures for figures in found.kinds} | {"": found.total}
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
