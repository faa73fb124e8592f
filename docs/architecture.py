"""Draw docs/architecture.svg, the rooms and who imports whom, and list the rooms in docs/architecture.md.

python docs/architecture.py
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("index", "qa")
PICTURE = ROOT / "docs" / "architecture.svg"
TEXT = ROOT / "docs" / "architecture.md"
# Modules or rooms by their dotted names, each with those that it imports.
Graph = dict[str, set[str]]

_BOX = (126, 34)
_GAP = (18, 46)
_COLOURS = {"index": "#dbeafe", "qa": "#fde9c9"}


def modules(root: Path = ROOT) -> dict[str, Path]:
    """The modules of both packages by their dotted names."""
    files = (file for package in PACKAGES for file in sorted((root / package).rglob("*.py")))
    return {".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def imports(files: Mapping[str, Path]) -> Graph:
    """Which of these modules each imports as it runs, at once or later; what is for the type checker is left out."""
    return {name: set(_imported(ast.parse(file.read_text("utf-8")), files)) - {name} for name, file in files.items()}


def _imported(tree: ast.AST, known: Iterable[str]) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield from (name for name in [inner if inner in known else node.module] if name in known)
        yield from _imported(node, known)


def room(module: str, files: Mapping[str, Path]) -> str:
    """The folder of a module; what lies loose at the root of a package stands for itself."""
    while files[module].name != "__init__.py" and "." in module:
        parent = module.rpartition(".")[0]
        if parent in PACKAGES:
            return module
        module = parent
    return module


def rooms(graph: Graph, files: Mapping[str, Path]) -> Graph:
    """The same between rooms; a package's own `__init__`, which only names what others hold, is left out."""
    between: Graph = {}
    for module, imported in graph.items():
        here = between.setdefault(room(module, files), set())
        here |= {room(other, files) for other in imported} - {room(module, files)}
    return {name: imported - set(PACKAGES) for name, imported in between.items() if name not in PACKAGES}


def circles(graph: Graph) -> list[list[str]]:
    """Groups of names that import each other, directly or over others."""
    reach = {name: _reachable(graph, name) for name in graph}
    groups = {frozenset(other for other in reach[name] if name in reach.get(other, ())) for name in graph}
    return sorted(sorted(group) for group in groups if group)


def _reachable(graph: Graph, start: str) -> set[str]:
    seen: set[str] = set()
    todo = list(graph[start])
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(graph.get(name, ()))
    return seen


def layers(graph: Graph) -> list[list[str]]:
    """Rooms from those that nobody imports down to those that import nobody."""
    reach = {name: _reachable(graph, name) - {name} for name in graph}
    depth: dict[str, int] = {}
    # Who reaches fewer comes first, so what a room reaches is placed before it.
    for name in sorted(graph, key=lambda name: (len(reach[name]), name)):
        depth[name] = 1 + max((depth[other] for other in reach[name] if other in depth), default=-1)
    levels = reversed(range(max(depth.values()) + 1))
    return [sorted(name for name in graph if depth[name] == level) for level in levels]


def arrows(graph: Graph) -> list[tuple[str, str]]:
    """The imports that no longer way over others says already."""
    reach = {name: _reachable(graph, name) for name in graph}
    return [
        (name, other)
        for name, imported in sorted(graph.items())
        for other in sorted(imported)
        if not any(other in reach[between] for between in imported - {other} if name not in reach[between])
    ]


def draw(graph: Graph) -> str:
    """The picture as SVG: one row a layer, arrows from who imports to what is imported."""
    (wide, high), (across, down) = _BOX, _GAP
    rows = layers(graph)
    width = max(len(row) for row in rows) * (wide + across) + across
    at: dict[str, tuple[float, float]] = {}
    for level, row in enumerate(rows):
        left = (width - len(row) * (wide + across) + across) / 2
        at |= {name: (left + place * (wide + across), level * (high + down) + across) for place, name in enumerate(row)}
    height = len(rows) * (high + down)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">',
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" '
            'markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0 0 8 4 0 8z" fill="#777"/></marker></defs>',
            f'<rect width="{width}" height="{height}" fill="#fff"/>',
            *(_arrow(at[start], at[end]) for start, end in arrows(graph)),
            *(_box(name, *at[name]) for name in sorted(at)),
            "</svg>\n",
        ]
    )


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    middle = _BOX[0] / 2
    (x, y), (to_x, to_y) = (start[0] + middle, start[1] + _BOX[1]), (end[0] + middle, end[1])
    bend = (y + to_y) / 2
    return (
        f'<path d="M{x:g} {y:g}C{x:g} {bend:g} {to_x:g} {bend:g} {to_x:g} {to_y:g}" '
        'fill="none" stroke="#777" marker-end="url(#head)"/>'
    )


def _box(name: str, x: float, y: float) -> str:
    wide, high = _BOX
    colour = _COLOURS[name.partition(".")[0]]
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{wide}" height="{high}" rx="5" fill="{colour}" stroke="#999"/>'
        f'<text x="{x + wide / 2:g}" y="{y + 22:g}" font-size="12" text-anchor="middle">'
        f"{escape(name.replace('.', '/'))}</text>"
    )


def table(names: Iterable[str], files: Mapping[str, Path]) -> str:
    """What each room holds, in the first sentence of its docstring."""
    lines = ["| room | holds |", "|---|---|"]
    for name in sorted(names):
        says = ast.get_docstring(ast.parse(files[name].read_text("utf-8"))) or ""
        path = files[name].parent if files[name].name == "__init__.py" else files[name]
        sentence = " ".join(re.split(r"(?<=\.)\s", says)[0].split())
        lines.append(f"| `{path.relative_to(ROOT).as_posix()}` | {sentence} |")
    return "\n".join(lines)


def with_table(text: str, rows: str) -> str:
    """`text` with the table between its two marks."""
    before, after = text.partition("<!-- rooms -->\n")[0], text.partition("\n<!-- /rooms -->")[2]
    return f"{before}<!-- rooms -->\n{rows}\n<!-- /rooms -->{after}"


def main() -> None:
    """Write the picture and the table."""
    files = modules()
    graph = rooms(imports(files), files)
    PICTURE.write_text(draw(graph), encoding="utf-8")
    TEXT.write_text(with_table(TEXT.read_text("utf-8"), table(graph, files)), encoding="utf-8")


if __name__ == "__main__":
    main()
