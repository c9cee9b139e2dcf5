"""The pages people see: checkout, receipt, control."""

from __future__ import annotations

from starlette.routing import Route

from sandbox.config import Config
from sandbox.store import Store
from sandbox.stripe.pages import checkout, clock, home, invoice, portal, receipt


def routes(store: Store, config: Config) -> list[Route]:
    """Their addresses."""
    return [
        *checkout.Pages(store, config).routes(),
        *invoice.Pages(store, config).routes(),
        *portal.Pages(store, config).routes(),
        *receipt.Pages(store, config).routes(),
        *clock.Pages(store, config).routes(),
        *home.Pages(store, config).routes(),
    ]
