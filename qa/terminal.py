"""What people see on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from qa.evaluate import Evaluation
from qa.schemas import AskResponse, HitOut

_REASONS = {
    "no_hits": "no passage shares a word or a meaning with the question",
    "low_confidence": "no passage fits the question well enough",
    "missing_terms": "no article brings these together with the rest of the question: ",
    "no_quantity": "the passages that fit hold no number of the kind asked for",
}
_EVALUATION_WIDTH = 100
_console = Console(highlight=False, soft_wrap=True)


def print_answer(response: AskResponse, console: Console = _console) -> None:
    """The answer, then where it stands, then the passages."""
    if response.answer is None:
        reason = _REASONS[response.reason or "no_hits"] + "、".join(response.missing_terms)
        console.print(Text(f"Not found in the documents: {reason}", style="bold yellow"))
    else:
        console.print(_emphasised(response.answer.text, response.answer.value))
        for citation in response.citations:
            console.print(Text(f"[{citation.n}] {_place(citation.path, citation.title, citation.paragraph)}", "cyan"))
    console.print()
    print_hits(response.hits, console)


def print_hits(hits: Sequence[HitOut], console: Console = _console) -> None:
    """Ranked passages with what matched in them highlighted."""
    if not hits:
        console.print("No passages found.")
    for hit in hits:
        place = _place(hit.path, hit.title, hit.paragraph)
        console.print(Text.assemble((f"{hit.rank}. ", "bold"), (place, "cyan"), (f" · {hit.score:.2f}", "dim")))
        if hit.explain:
            parts = hit.explain
            console.print(
                Text(f"   lexical {parts.lexical:.2f} · dense {parts.dense:.2f} · article {parts.article:.2f}", "dim")
            )
        body = Text(hit.text)
        for start, end in hit.highlights:
            body.stylize("bold green", start - hit.start, end - hit.start)
        console.print(Text("   ").append_text(Text(" ").join(body.split())))
        for copy in hit.also_in:
            console.print(Text(f"   also in {copy.path} · paragraph {copy.paragraph}", "dim"))


def print_evaluation(result: Evaluation) -> None:
    """Figures by kind of question, then over all."""
    table = Table(title=f"{result.questions} questions", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    columns = ("kind", "n", "hit@1", "hit@5", "MRR", "nDCG", "answer", "value", "refused", "wrongly")
    for name in columns:
        table.add_column(name, justify="left" if name == "kind" else "right", no_wrap=True)
    for group in [*result.kinds, result.total]:
        figures = (
            group.hit_at_1, group.hit_at_5, group.mrr_at_10, group.ndcg_at_10, group.answer_accuracy,
            group.value_accuracy, group.refused_right, group.refused_wrong,
        )  # fmt: skip
        style = "bold" if group is result.total else None
        table.add_row(group.kind, str(group.n), *("–" if x is None else f"{x:.3f}" for x in figures), style=style)
    # Elsewhere than on a terminal the width is a guess, and cutting figures off helps nobody.
    _console.print(table, width=max(_console.width, _EVALUATION_WIDTH))
    _console.print(
        f"MRR and nDCG at 10. refused: unanswerable questions refused; wrongly: answerable ones refused.\n"
        f"citations exact: {result.citations_exact} of {result.citations}   "
        f"latency p50 {result.latency_ms_p50:.1f} ms, p99 {result.latency_ms_p99:.1f} ms"
    )


@contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[str, float, int], None]]:
    """A bar that takes (what, done, total)."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)

        def advance(what: str, done: float, total: int) -> None:
            progress.update(task, description=what[-40:], completed=done, total=total)

        yield advance


def _place(path: str, title: str, paragraph: int) -> str:
    return f"{path} · {title} · paragraph {paragraph}"


def _emphasised(text: str, value: str | None) -> Text:
    shown = Text(text, style="bold")
    if value and value in text:
        start = text.index(value)
        shown.stylize("green", start, start + len(value))
    return shown
