"""What people see on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from qa.schemas import AskResponse, HitOut, Place, ScoreParts, WhyNotResponse

_REASONS = {
    "no_hits": "no passage shares a word or a meaning with the question",
    "low_confidence": "no passage fits the question well enough",
    "missing_terms": "no article brings these together with the rest of the question: ",
    "no_quantity": "the passages that fit hold no number of the kind asked for",
}
_console = Console(highlight=False, soft_wrap=True)


def print_answer(response: AskResponse, console: Console = _console) -> None:
    """The answer, then where it stands, then the passages."""
    if response.interpreted_as:
        console.print(Text(f"Understood as: {response.interpreted_as}", "dim"))
    if response.answer is None:
        reason = _REASONS[response.reason or "no_hits"] + "、".join(response.missing_terms)
        console.print(Text(f"Not found in the documents: {reason}", style="bold yellow"))
    else:
        console.print(_emphasised(response.answer.text, response.answer.value))
        for citation in response.citations:
            place = _place(citation.path, citation.title, citation.paragraph)
            console.print(Text.assemble((f"[{citation.n}] {place}", "cyan"), *_freshness(citation)))
    console.print()
    print_hits(response.hits, console)


def print_hits(hits: Sequence[HitOut], console: Console = _console) -> None:
    """Ranked passages with what matched in them highlighted."""
    if not hits:
        console.print("No passages found.")
    for hit in hits:
        place = _place(hit.path, hit.title, hit.paragraph)
        stale = _freshness(hit) if hit.stale else []
        console.print(Text.assemble((f"{hit.rank}. ", "bold"), (place, "cyan"), (f" · {hit.score:.2f}", "dim"), *stale))
        if hit.explain:
            for line in _explanation(hit.explain):
                console.print(Text(f"   {line}", "dim"))
        body = Text(hit.text)
        for start, end in hit.highlights:
            body.stylize("bold green", start - hit.start, end - hit.start)
        console.print(Text("   ").append_text(Text(" ").join(body.split())))
        for copy in hit.also_in:
            console.print(Text(f"   also in {copy.path} · paragraph {copy.paragraph}", "dim"))


def print_why_not(response: WhyNotResponse, console: Console = _console) -> None:
    """Where the document stands, why, and its passage beside the first."""
    rank = f"rank {response.rank}" if response.rank else "not ranked"
    console.print(Text(f"{response.path}: {rank}", "bold"))
    for reason in response.reasons:
        console.print(Text(f"- {reason}"))
    for name, standing in (("first", response.first), ("this document", response.best)):
        if standing is None or (name == "first" and response.rank == 1):
            continue
        place = _place(standing.path, standing.title, standing.paragraph)
        console.print()
        console.print(Text.assemble((f"{name}: ", "bold"), (place, "cyan"), (f" · {standing.score:.2f}", "dim")))
        for line in _explanation(standing.explain):
            console.print(Text(f"   {line}", "dim"))
        console.print(Text("   ").append_text(Text(" ".join(standing.text.split()))))


def _explanation(parts: ScoreParts) -> Iterator[str]:
    """What a score is made of, and the question's words that the passage holds."""
    yield f"lexical {parts.lexical:.2f} · dense {parts.dense:.2f} · article {parts.article:.2f}"
    yield "points: " + " · ".join(f"{name} {value:.2f}" for name, value in parts.points.items())
    for name, terms in (
        ("matched", parts.matched), ("only elsewhere in its article", parts.in_article), ("missing", parts.missing)
    ):  # fmt: skip
        if terms:
            yield f"{name}: {'、'.join(terms)}"


def _freshness(place: Place) -> list[tuple[str, str]]:
    """When the file was read, and a warning where that is no longer what it says."""
    read = [(f" · read {place.read_at[:16].replace('T', ' ')} UTC", "dim")] if place.read_at else []
    return [*read, (" · changed or removed since; run: qa index", "yellow")] if place.stale else read


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
