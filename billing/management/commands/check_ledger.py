"""``manage.py check_ledger``: add everything up again."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand

from billing.selectors import audit


class Command(BaseCommand):
    """Name each difference and exit 1; say that all is well and exit 0."""

    help = "Adds up every account, lot, hold and payment again and names each difference."

    def handle(self, *args: Any, **options: Any) -> None:
        found = audit.differences()
        for difference in found:
            self.stderr.write(self.style.ERROR(str(difference)))
        if found:
            self.stderr.write(f"{len(found)} differences.")
            sys.exit(1)
        self.stdout.write(f"The books add up: {len(audit.CHECKS)} checks, no difference.")
