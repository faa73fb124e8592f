"""One platform after another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.qa.chat.bots.every import NAMES, make_platform
from tests.qa.chat.bots.platforms import Platform


@pytest.fixture(params=NAMES)
def platform(request: pytest.FixtureRequest) -> Iterator[Platform]:
    made = make_platform(request.param)
    yield made
    made.close()
