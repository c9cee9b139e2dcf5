"""The ledger against the oracle: any acts, in any order, with time moving on."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.ledger.keyed_machine import LedgerMachine

FAST = settings(
    max_examples=20,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
LONG = settings(
    max_examples=300,
    stateful_step_count=60,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate, Phase.target, Phase.shrink],
)


class QuickMachine(LedgerMachine):
    steps_per_audit = 6


@pytest.mark.django_db(transaction=True)
def test_the_ledger_does_what_the_oracle_does() -> None:
    run_state_machine_as_test(QuickMachine, settings=FAST)


@pytest.mark.prove
@pytest.mark.django_db(transaction=True)
def test_the_ledger_does_what_the_oracle_does_for_a_long_time() -> None:
    run_state_machine_as_test(LedgerMachine, settings=LONG)
