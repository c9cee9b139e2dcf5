"""Prepaid time with a gap in it: what a better plan costs there."""

from __future__ import annotations

import pytest

from billing.services import plan_changes
from common import clock
from tests.billing.prepaid import BASIC, PREMIUM, bought, changed, differences, refunded, rich
from tests.factories import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("wallet_rail")]


def test_time_that_was_refunded_is_paid_in_full_by_a_change() -> None:
    with clock.frozen(NOW):
        customer = rich()
        this_month = bought(customer)
        bought(customer)
        refunded(this_month)

        quote = plan_changes.quote(customer, "premium", "month")
        assert quote.subtotal.amount_minor == 2 * PREMIUM - BASIC
        changed(customer, "premium")
        assert differences() == []
