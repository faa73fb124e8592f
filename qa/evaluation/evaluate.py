"""Quality on a file of questions with known answers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, quantiles
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from index.errors import QueryError
from index.text.fold import fold_text
from qa.engine import Engine
from qa.schemas import AskResponse, HitOut
from qa.understanding.conversation import Turn

POOL = 10
# Enough passages that ten different documents are among them.
DOCUMENT_POOL = 60
TENTHS = 10


class EvalQuestion(BaseModel):
    """One line of a question file. Without `evidence`, `relevant` and `answers`, the right thing is to refuse.

    `relevant` are documents by name with their grades, where relevance is a matter of documents, not of passages;
    `itself` is the document that the question was made of, which does not count. `history` are earlier questions.
    """

    model_config = ConfigDict(extra="ignore")
    question: str = Field(min_length=1)
    history: list[str] = []
    evidence: list[str] = []
    relevant: dict[str, int] = {}
    itself: str = ""
    answers: list[str] = []
    answers_mode: Literal["any", "all"] = "any"
    kind: str = "any"

    @property
    def is_answerable(self) -> bool:
        return bool(self.evidence or self.relevant or self.answers)


class KindFigures(BaseModel):
    """Means over questions of one kind, 0 to 1; None where the kind has no such questions."""

    kind: str
    n: int
    hit_at_1: float | None
    hit_at_5: float | None
    mrr_at_10: float | None
    ndcg_at_10: float | None
    recall_at_10: float | None = None
    answer_accuracy: float | None
    value_accuracy: float | None
    refused_right: float | None
    refused_wrong: float | None


class AskedQuestion(BaseModel):
    """What became of one question.

    `rank` is of the first passage that holds the evidence, or of the first relevant document; None beyond the tenth.
    """

    question: str
    kind: str
    rank: int | None
    ndcg: float
    recall: float = 0.0
    status: str
    reason: str | None
    confidence: float | None
    answer: str | None
    value: str | None
    answer_right: bool | None
    value_right: bool | None
    is_answerable: bool = True


class Tenth(BaseModel):
    """Answers whose confidence lies in one tenth: `said` is its mean, `was` the share that were right."""

    low: float
    n: int
    said: float
    was: float


class Evaluation(BaseModel):
    """KindFigures by kind and over all, and every single outcome.

    `calibration_error` is the mean distance of what the confidence said from what was, weighted by answers (ECE).
    """

    questions: int
    kinds: list[KindFigures]
    total: KindFigures
    citations: int
    citations_exact: int
    latency_ms_p50: float
    latency_ms_p99: float
    reliability: list[Tenth] = []
    calibration_error: float | None = None
    outcomes: list[AskedQuestion]


def load_questions(file: Path) -> list[EvalQuestion]:
    """Read a JSON Lines file.

    Raises:
        QueryError: names the file and line that can't be used.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise QueryError(f"{file}: {getattr(exc, 'strerror', None) or 'is not UTF-8'}; give a JSON Lines file") from exc
    questions = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            questions.append(EvalQuestion.model_validate_json(line))
        except ValidationError as exc:
            problem = exc.errors()[0]
            where = ".".join(str(part) for part in problem["loc"]) or "line"
            raise QueryError(f"{file}:{number}: {where}: {problem['msg']}") from exc
    if not questions:
        raise QueryError(f"{file}: holds no questions")
    return questions


def evaluate(
    engine: Engine,
    questions: Sequence[EvalQuestion],
    progress: Callable[[str, int, int], None] | None = None,
    names: Mapping[str, str] | None = None,
) -> Evaluation:
    """Ask every question and compare. `names` are those of documents by file stem; without it they are their paths."""
    outcomes: list[AskedQuestion] = []
    latencies: list[float] = []
    exact: list[bool] = []
    texts: dict[str, str] = {}
    for number, question in enumerate(questions):
        if progress:
            progress(question.question, number, len(questions))
        started = time.perf_counter()
        response = engine.ask(
            question.question,
            top_k=DOCUMENT_POOL if question.relevant else POOL,
            history=[Turn(text) for text in question.history],
            answer="extractive",
        )
        latencies.append((time.perf_counter() - started) * 1000)
        outcomes.append(_outcome(question, response, names))
        for place, quote in [(c, c.quote) for c in response.citations] + [(h, h.text) for h in response.hits[:POOL]]:
            if place.document_id not in texts:
                texts[place.document_id] = engine.document(place.document_id).text
            exact.append(texts[place.document_id][place.start : place.end] == quote)
    pairs = list(zip(questions, outcomes, strict=True))
    kinds = sorted({question.kind for question in questions})
    reliability = list(_reliability(outcomes))
    answers = sum(tenth.n for tenth in reliability)
    return Evaluation(
        questions=len(questions),
        kinds=[_figures(kind, [pair for pair in pairs if pair[0].kind == kind]) for kind in kinds],
        total=_figures("all", pairs),
        citations=len(exact),
        citations_exact=sum(exact),
        latency_ms_p50=quantiles(latencies, n=100)[49] if len(latencies) > 1 else latencies[0],
        latency_ms_p99=quantiles(latencies, n=100)[98] if len(latencies) > 1 else latencies[0],
        reliability=reliability,
        calibration_error=sum(abs(tenth.said - tenth.was) * tenth.n for tenth in reliability) / answers
        if answers
        else None,
        outcomes=outcomes,
    )


def squeeze(text: str) -> str:
    """Text for comparison: folded, without white space."""
    return "".join(fold_text(text).split())


def _outcome(question: EvalQuestion, response: AskResponse, names: Mapping[str, str] | None) -> AskedQuestion:
    if question.relevant:
        grades = _document_grades(question, response.hits, names)
        ideal: Sequence[int] = list(question.relevant.values())
    else:
        evidence = [squeeze(part) for part in question.evidence]
        grades = [int(_holds(hit, evidence)) for hit in response.hits[:POOL]]
        # How many passages hold the evidence is not known beyond those found.
        ideal = [1] * max(1, sum(grades))
    answer = response.answer
    accepted = [squeeze(part) for part in question.answers]
    ranks = [rank for rank, grade in enumerate(grades, start=1) if grade]
    return AskedQuestion(
        question=question.question,
        kind=question.kind,
        rank=ranks[0] if ranks else None,
        ndcg=_ndcg(grades, ideal),
        recall=min(1.0, len(ranks) / len(ideal)),
        status=response.status,
        reason=response.reason,
        confidence=answer.confidence if answer else None,
        answer=answer.text if answer else None,
        value=answer.value if answer else None,
        answer_right=_accepts(accepted, answer.text if answer else "", question.answers_mode) if accepted else None,
        value_right=any(part == squeeze(answer.value) for part in accepted)
        if accepted and answer and answer.value
        else None,
        is_answerable=question.is_answerable,
    )


def _document_grades(question: EvalQuestion, hits: Sequence[HitOut], names: Mapping[str, str] | None) -> list[int]:
    """Grades of the first ten documents, each at its best passage; one that a passage stands for comes with it."""
    paths = (path for hit in hits for path in (hit.path, *(copy.path for copy in hit.also_in)))
    documents = dict.fromkeys(names[Path(path).stem] if names else path for path in paths)
    ranked = [name for name in documents if name != question.itself]
    return [question.relevant.get(name, 0) for name in ranked[:POOL]]


def _holds(hit: HitOut, evidence: Sequence[str]) -> bool:
    text = squeeze(hit.text)
    return any(part in text for part in evidence)


def _accepts(accepted: Sequence[str], text: str, mode: str) -> bool:
    held = [part in squeeze(text) for part in accepted]
    return all(held) if mode == "all" else any(held)


def _ndcg(grades: Sequence[int], ideal: Sequence[int]) -> float:
    """nDCG@10 as trec_eval and BEIR compute it: the grade is the gain. `ideal` are all grades that could be found."""
    return _gain(grades) / _gain(sorted(ideal, reverse=True))


def _gain(grades: Sequence[int]) -> float:
    return sum(grade / math.log2(rank + 1) for rank, grade in enumerate(grades[:POOL], start=1))


def _reliability(outcomes: Iterable[AskedQuestion]) -> Iterator[Tenth]:
    """What the confidence of answers said and what was, by tenths; an answer to an unanswerable question is wrong."""
    known = [
        (asked.confidence, bool(asked.answer_right))
        for asked in outcomes
        if asked.confidence is not None and (asked.answer_right is not None or not asked.is_answerable)
    ]
    for tenth in range(TENTHS):
        within = [pair for pair in known if min(TENTHS - 1, int(pair[0] * TENTHS)) == tenth]
        if within:
            said, was = (fmean(values) for values in zip(*within, strict=True))
            yield Tenth(low=tenth / TENTHS, n=len(within), said=said, was=was)


def _figures(kind: str, pairs: Iterable[tuple[EvalQuestion, AskedQuestion]]) -> KindFigures:
    every = list(pairs)
    answerable = [outcome for question, outcome in every if question.is_answerable]
    findable = [outcome for question, outcome in every if question.evidence or question.relevant]
    unanswerable = [outcome for question, outcome in every if not question.is_answerable]
    return KindFigures(
        kind=kind,
        n=len(every),
        hit_at_1=_mean(outcome.rank == 1 for outcome in findable),
        hit_at_5=_mean(outcome.rank is not None and outcome.rank <= 5 for outcome in findable),
        mrr_at_10=_mean(1 / outcome.rank if outcome.rank else 0.0 for outcome in findable),
        ndcg_at_10=_mean(outcome.ndcg for outcome in findable),
        recall_at_10=_mean(outcome.recall for outcome in findable),
        answer_accuracy=_mean(outcome.answer_right for outcome in answerable if outcome.answer_right is not None),
        value_accuracy=_mean(outcome.value_right for outcome in answerable if outcome.value_right is not None),
        refused_right=_mean(outcome.status == "no_answer" for outcome in unanswerable),
        refused_wrong=_mean(outcome.status == "no_answer" for outcome in answerable),
    )


def _mean(values: Iterable[float | bool]) -> float | None:
    numbers = [float(value) for value in values]
    return fmean(numbers) if numbers else None
