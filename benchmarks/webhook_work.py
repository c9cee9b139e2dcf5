"""Somebody who buys, and Stripe who tells: ``python -m benchmarks.webhook_work ORDERS``."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import io
import json
import os
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing_project.settings")

import django

django.setup()

import stripe  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402

from accounts.models import Customer  # noqa: E402
from billing import catalogue  # noqa: E402
from billing.models import Order  # noqa: E402
from billing.money import USD  # noqa: E402
from billing.rails.card.handlers import HANDLERS  # noqa: E402
from billing.services import credit_packs, orders  # noqa: E402

CONNECTIONS = 4
PATIENCE_SECONDS = 120


def main() -> None:
    """Print how many events a second were stored, and orders settled and delivered."""
    count = int(sys.argv[1])
    call_command("sync_catalogue", stdout=io.StringIO())
    _control("deliveries/hold")
    for number in range(count):
        _pay(number)
    bodies = _events()

    start = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(_post_all, [bodies[n::CONNECTIONS] for n in range(CONNECTIONS)]))
    stored = time.perf_counter() - start
    while (delivered := Order.objects.exclude(delivered_at=None).count()) < count:
        if time.perf_counter() - start > PATIENCE_SECONDS:
            raise RuntimeError(f"only {delivered} of {count} orders were delivered")
        time.sleep(0.02)
    settled = time.perf_counter() - start
    found = {
        "orders": count,
        "events": len(bodies),
        "stored_per_second": round(len(bodies) / stored, 1),
        "settled_per_second": round(count / settled, 1),
    }
    print(json.dumps(found))


def _pay(number: int) -> None:
    """An order of a new customer, paid on its checkout page."""
    customer = Customer.objects.create(email=f"buyer{number}@example.com")
    item = credit_packs.sold(catalogue.current().credit_pack("small"), USD)
    order = orders.open_order(customer, item, rail="card")
    orders.pay_url(order)
    assert _control(f"sessions/{order.external_id}/pay")["outcome"] == "paid"


def _events() -> list[bytes]:
    """What Stripe has to tell, oldest first, to an endpoint that wants what the portal handles."""
    newest_first = stripe.Event.list(limit=100).auto_paging_iter()
    wanted = [event for event in newest_first if event.type in HANDLERS]
    return [json.dumps(event.to_dict()).encode() for event in reversed(wanted)]


def _post_all(bodies: list[bytes]) -> None:
    """Post them one after another over one connection, each signed when it goes out."""
    connection = http.client.HTTPConnection("127.0.0.1", settings.PORT, timeout=30)
    for body in bodies:
        now = int(time.time())
        digest = hmac.new(
            settings.STRIPE_WEBHOOK_SECRET.encode(), b"%d.%s" % (now, body), hashlib.sha256
        )
        headers = {
            "Content-Type": "application/json",
            "Stripe-Signature": f"t={now},v1={digest.hexdigest()}",
        }
        connection.request("POST", "/api/webhooks/stripe", body=body, headers=headers)
        response = connection.getresponse()
        response.read()
        assert response.status == http.HTTPStatus.OK, response.status
    connection.close()


def _control(path: str) -> Any:
    """POST to the sandbox's control API."""
    request = urllib.request.Request(
        f"{settings.SANDBOX_URL}/_sandbox/stripe/{path}",
        method="POST",
        data=b"{}",
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.loads(response.read() or b"null")


if __name__ == "__main__":
    main()
