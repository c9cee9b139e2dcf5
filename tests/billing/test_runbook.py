"""The runbook names what an operator must switch on at the provider."""

from __future__ import annotations

import re

from billing.rails.card.handlers import HANDLERS
from billing_project.paths import BASE_DIR


def test_the_runbook_names_exactly_the_events_that_are_handled() -> None:
    text = (BASE_DIR / "docs" / "runbooks" / "stripe.md").read_text()
    listed = text[text.index("## Go live") : text.index("Others are")]

    named = set(re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", listed))

    assert named == set(HANDLERS)
