"""The figures as a Markdown table, a row for each peer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Figures = dict[str, Any]


def _get(*keys: str) -> Callable[[Figures], str]:
    """Figures side by side; a dash where there is none."""
    return lambda found: " / ".join(_number(found.get(key)) for key in keys) if found.get(keys[0]) is not None else "–"


def _number(value: float | None) -> str:
    return f"{value:,}" if isinstance(value, int) and value > 9999 else "–" if value is None else str(value)


def _refused(found: Figures) -> str:
    if "union_unanswerable" not in found:
        return "–"
    return f"{found['union_refused_right']} of {found['union_unanswerable']} / {found['union_refused_wrong']}"


COLUMNS: tuple[tuple[str, Callable[[Figures], str]], ...] = (
    ("", lambda found: f"{found['title']} ({found['version']})" if "version" in found else found["title"]),
    ("set-up, MB / packages", _get("setup_mb", "setup_packages")),
    ("cold, s wall / processor", _get("cold_s", "cold_processor_s")),
    ("indexing, passages/s", _get("index_per_s")),
    ("ask p50 / p99 / mean processor, ms", _get("ask_p50_ms", "ask_p99_ms", "ask_processor_ms")),
    ("HTTP p50 / p99, ms", _get("http_p50_ms", "http_p99_ms")),
    ("requests/s, 8 clients, one process / one a core", _get("http_per_s", "http_workers_per_s")),
    ("memory indexing / asking / server, MB", _get("index_mb", "ask_mb", "server_mb")),
    ("XQuAD zh nDCG@10 / hit@1", _get("xquad_ndcg_at_10", "xquad_hit_at_1")),
    ("shipped hit@1 / hit@5", _get("union_hit_at_1", "union_hit_at_5")),
    ("unanswerable refused / answerable refused", _refused),
)


def table(figures: Sequence[Figures]) -> str:
    """A row for each; what failed is told in a line below."""
    lines = ["| " + " | ".join(title for title, _ in COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    lines += ["| " + " | ".join(cell(found) for _, cell in COLUMNS) + " |" for found in figures]
    lines += [f"\n{found['title']} failed: {found['failed']}" for found in figures if "failed" in found]
    return "\n".join(lines)
