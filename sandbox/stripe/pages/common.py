"""What every page needs: a transaction, safe headers, forms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from sandbox import html
from sandbox.config import Config
from sandbox.html import Child, el
from sandbox.store import Store
from sandbox.stripe.context import Context, open_context
from sandbox.web import read_body


class Base:
    """A group of pages over one store."""

    def __init__(self, store: Store, config: Config) -> None:
        self.store = store
        self.config = config

    @contextmanager
    def context(self) -> Iterator[Context]:
        """One act, in its transaction."""
        with self.store.transaction() as tx:
            yield open_context(tx, self.config)


def shown(title: str, *body: Child, status: int = 200, leads_to: str = "") -> Response:
    """A page. ``leads_to`` is where its form may end up (Content-Security-Policy)."""
    origins = " ".join(["'self'", *filter(None, [_origin(leads_to)])])
    policy = (
        "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action {origins}"
    )
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse(html.page(title, *body), status_code=status, headers=headers)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def not_found(what: str) -> Response:
    """The 404 page."""
    body = el("main", el("h1", "Not found"), el("p", what), class_="narrow")
    return shown("Not found", body, status=404)


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form; the last of a name counts."""
    raw = await read_body(request)
    try:
        return dict(
            parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=100)
        )
    except ValueError:
        return {}


def day(moment: int) -> str:
    """A day as a person writes it: ``5 Nov 2026``."""
    at = datetime.fromtimestamp(moment, UTC)
    return f"{at.day} {at:%b %Y}"
