"""The buy page against the live sandbox, clicked in a hurry."""

from __future__ import annotations

import http.client
import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

from django.conf import settings

from billing.models import Order
from tests import live
from tests.accounts.factories import signed_in


def test_six_clicks_at_once_make_one_order_with_one_pay_page(portal: live.Portal) -> None:
    with portal.orm():
        person = signed_in()
    cookies = {settings.SESSION_COOKIE_NAME: person.cookies[settings.SESSION_COOKIE_NAME].value}
    page, answer = _call(portal, "GET", cookies)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    csrf = re.search(rf"{settings.CSRF_COOKIE_NAME}=(\w+)", answer.getheader("Set-Cookie") or "")
    assert token
    assert csrf
    cookies[settings.CSRF_COOKIE_NAME] = csrf[1]
    form = {"package": "small", "rail": "card", "csrfmiddlewaretoken": token[1]}

    with ThreadPoolExecutor(6) as pool:
        clicks = list(pool.map(lambda _: _call(portal, "POST", cookies, form)[1], range(6)))

    assert [click.status for click in clicks] == [303] * 6
    (address,) = {click.getheader("Location") for click in clicks}
    assert address
    assert address.startswith(portal.sandbox_url)
    with portal.orm():
        assert Order.objects.get(customer=person.customer).pay_url == address


def _call(
    portal: live.Portal, method: str, cookies: dict[str, str], form: dict[str, str] | None = None
) -> tuple[str, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", portal.port, timeout=60)
    headers = {
        "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    connection.request(method, "/billing/buy", urlencode(form or {}), headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return text, answer
