"""What `qa eval` shows on a terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from qa.evaluation.evaluate import Evaluation, Tenth
from qa.evaluation.gate import FIGURES, Comparison, JudgedEvaluation

# Elsewhere than on a terminal the width is a guess, and cutting figures off helps nobody.
_LEAST_WIDTH = 100
_HEADERS = {"mrr@10": "MRR", "ndcg@10": "nDCG", "recall@10": "recall"}
_console = Console(highlight=False, soft_wrap=True)


def print_evaluation(result: JudgedEvaluation, console: Console = _console) -> None:
    """Figures by kind of question and over all, how far the confidence can be believed, and what changed."""
    if not console.is_terminal:
        console.width = max(console.width, _LEAST_WIDTH)
    console.print(_figures(result))
    console.print(
        "MRR, nDCG and recall at 10. refused: unanswerable questions refused; wrongly: answerable ones refused.\n"
        f"citations exact: {result.citations_exact} of {result.citations}   "
        f"latency p50 {result.latency_ms_p50:.1f} ms, p99 {result.latency_ms_p99:.1f} ms"
    )
    if result.reliability:
        console.print()
        console.print(_reliability(result.reliability))
        console.print(f"mean distance of what was said from what was: {result.calibration_error:.3f}")
    if result.comparison:
        console.print()
        _print_comparison(result.comparison, console)


def _figures(result: Evaluation) -> Table:
    table = _table(f"{result.questions} questions", "kind", "n", *(_HEADERS.get(name, name) for name in FIGURES))
    for group in [*result.kinds, result.total]:
        figures = (getattr(group, attribute) for attribute in FIGURES.values())
        style = "bold" if group is result.total else None
        table.add_row(group.kind, str(group.n), *("–" if x is None else f"{x:.3f}" for x in figures), style=style)
    return table


def _reliability(tenths: list[Tenth]) -> Table:
    table = _table("confidence of the answers given", "tenth", "answers", "said", "was right")
    for tenth in tenths:
        table.add_row(f"{tenth.low:.1f}-{tenth.low + 0.1:.1f}", str(tenth.n), f"{tenth.said:.3f}", f"{tenth.was:.3f}")
    return table


def _print_comparison(found: Comparison, console: Console) -> None:
    console.print(f"compared over {found.questions} questions")
    for change in found.changes:
        console.print(Text(f"{change.measure}: {len(change.won)} won, {len(change.lost)} lost", "bold"))
        for sign, style, questions in (("+", "green", change.won), ("-", "red", change.lost)):
            for question in questions:
                console.print(Text(f"  {sign} {question}", style))
    if found.differences:
        table = _table("figures that differ", "kind", "figure", "before", "now", "change")
        for difference in found.differences:
            was, now = difference.old, difference.new
            table.add_row(difference.kind, difference.figure, f"{was:.3f}", f"{now:.3f}", f"{now - was:+.3f}")
        console.print()
        console.print(table)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=0)
    for column in columns:
        table.add_column(column, justify="left" if column in ("kind", "figure") else "right", no_wrap=True)
    return table
