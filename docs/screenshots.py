"""Take the pictures of the page in the README, docs/page-*.png: what Chromium shows of a real server on the seeds.

python docs/screenshots.py

Needs the test extra, chromium, and a font with Chinese characters (Debian: chromium, fonts-noto-cjk).
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from qa.configuration.config import load_config  # noqa: E402 - the tests' helpers are found from the root
from qa.schemas import EXAMPLE_QUESTION  # noqa: E402
from tests.qa.browsing import PHONE, asking, chromium, opened  # noqa: E402
from tests.qa.servers import serving  # noqa: E402

SIZE = {"width": 1000, "height": 700}
MAX_BYTES = 150_000
# Enough for smooth letters and every colour of the map; a third of the size.
COLOURS = 256


def main() -> None:
    """Serve the seeds from a fresh index and take each picture."""
    with tempfile.TemporaryDirectory() as folder:
        config = load_config(ROOT / "config.yaml").model_copy(update={"data_dir": Path(folder)})
        config._base = ROOT
        with serving(config) as client, chromium() as browser:

            def shoot(name: str, path: str, ready: Callable[[Page], None], **options: object) -> None:
                with opened(browser, str(client.base_url), path, **{"viewport": SIZE, **options}) as page:
                    ready(page)
                    file = ROOT / "docs" / f"page-{name}.png"
                    with Image.open(io.BytesIO(page.screenshot())) as picture:
                        few = picture.convert("RGB").quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE)
                    few.save(file, optimize=True)
                    size = file.stat().st_size
                    print(f"{file.name}: {size} bytes")  # noqa: T201
                    assert size < MAX_BYTES, f"{file.name} is too large for a README"

            answer = asking(EXAMPLE_QUESTION)
            client.get("/v1/map")
            shoot("light", answer, _answered)
            shoot("dark", answer, _explained, color_scheme="dark")
            shoot("phone", answer, _answered, viewport=PHONE, locale="en-US")
            cited = client.get("/v1/ask", params={"q": EXAMPLE_QUESTION}).json()["citations"][0]
            shoot("document", cited["url"][1:], _reading)
            shoot("map", f"map{answer}", _mapped)


def _answered(page: Page) -> None:
    expect(page.locator(".hit").first).to_be_visible()


def _explained(page: Page) -> None:
    page.locator(".hit summary").first.click()
    expect(page.locator(".points").first).to_be_visible()


def _reading(page: Page) -> None:
    expect(page.locator(".sheet mark").first).to_be_in_viewport()
    expect(page.locator(".copies button").first).to_be_visible()


def _mapped(page: Page) -> None:
    expect(page.locator(".mapdocs a").first).to_be_visible()
    page.wait_for_function("() => document.querySelector('canvas').width > 300")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


if __name__ == "__main__":
    main()
