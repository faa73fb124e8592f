"""Draw docs/ask.svg, the picture in the README: what `qa ask` really prints.

python docs/picture.py
"""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from qa.cli import terminal
from qa.configuration.config import load_config
from qa.engine import Engine
from qa.schemas import EXAMPLE_QUESTION

ROOT = Path(__file__).parent.parent
COLUMNS = 104


def main() -> None:
    """Ask the example question and keep the screen."""
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(load_config(ROOT / "config.yaml").model_copy(update={"data_dir": Path(folder)}))
        engine.index()
        response = engine.ask(EXAMPLE_QUESTION, top_k=2)
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False)
    console.print(Text.assemble(("$ ", "dim"), f'qa ask "{EXAMPLE_QUESTION}" --top-k 2'))
    terminal.print_answer(response, console)
    svg = console.export_svg(title="qa ask")
    # rich's template loads a font from the network; the reader's own monospace font will do.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    (ROOT / "docs" / "ask.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
