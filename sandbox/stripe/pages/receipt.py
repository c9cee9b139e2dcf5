"""The receipt that ``charge.receipt_url`` points to."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.html import el
from sandbox.stripe.amounts import display
from sandbox.stripe.pages.common import Base, not_found, shown


class Pages(Base):
    """The page at ``/receipts/<charge>``."""

    def routes(self) -> list[Route]:
        """Its address."""
        return [Route("/receipts/{id}", self.show, methods=["GET"])]

    def show(self, request: Request) -> Response:
        """What was paid and given back."""
        with self.context() as context:
            charge = context.tx.get("charge", request.path_params["id"])
        if charge is None or not charge["paid"]:
            return not_found("There is no such receipt.")
        rows = [("Paid", charge["amount"])]
        if charge["amount_refunded"]:
            rows.append(("Refunded", -charge["amount_refunded"]))
        listed = [
            [el("dt", label), el("dd", display(amount, charge["currency"]))]
            for label, amount in rows
        ]
        body = el(
            "main",
            el("h1", "Receipt"),
            el("p", charge["description"] or charge["id"]),
            el("dl", listed, class_="totals"),
            class_="narrow",
        )
        return shown("Receipt – SANDBOX", body)
