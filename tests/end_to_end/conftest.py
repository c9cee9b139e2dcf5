"""A running portal, and a test's hands at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import live
from tests.end_to_end import till as tills


@pytest.fixture
def till(portal: live.Portal) -> Iterator[tills.Till]:
    """A till at this module's portal."""
    with tills.at(portal) as opened:
        yield opened
