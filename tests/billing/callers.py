"""Who calls, and what can be seen of it from outside."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from io import BytesIO
from typing import Any, cast

import redis
from pypdf import PdfReader
from rest_framework.test import APIClient

from accounts.middleware import SESSION_KEY
from accounts.models import Customer, Membership
from accounts.services import api_keys
from tests.accounts.factories import PersonClient, join, make_person, make_team, signed_in

QUEUE = "celery"


@dataclass
class Bell:
    """The queue a worker would take tasks from."""

    broker: redis.Redis

    def rung(self) -> list[tuple[str, list[Any]]]:
        """The tasks since last time: names and arguments."""
        found = []
        while (raw := cast("bytes | None", self.broker.rpop(QUEUE))) is not None:
            message = json.loads(raw)
            found.append(
                (message["headers"]["task"], json.loads(base64.b64decode(message["body"]))[0])
            )
        return found


def program(customer: Customer, *scopes: str) -> APIClient:
    """A program that acts for the customer with a key of those scopes."""
    new_key = api_keys.create(customer, created_by=None, name="a program", scope_names=scopes)
    return APIClient(
        raise_request_exception=False, headers={"Authorization": f"Bearer {new_key.secret}"}
    )


def member_who_only_looks() -> tuple[PersonClient, Customer]:
    """A team's member without a role that pays, and the team."""
    team = make_team(make_person())
    looking = signed_in(join(team, Membership.Role.MEMBER))
    session = looking.session
    session[SESSION_KEY] = str(team.pk)
    session.save()
    return looking, team


def send(client: APIClient, path: str, body: object = None, *, key: str | None = None) -> Any:
    """POST JSON, under an idempotency key if one is given."""
    headers = {} if key is None else {"Idempotency-Key": key}
    text = json.dumps({} if body is None else body)
    return client.post(path, text, content_type="application/json", headers=headers)


def code_of(response: Any) -> str:
    """The machine-readable reason of a refusal."""
    return str(response.json()["error"]["code"])


def text_of(response: Any) -> str:
    """What a page says, or a stream, or a file in words."""
    if response.get("Content-Type") == "application/pdf":
        pages = PdfReader(BytesIO(response.content)).pages
        return "\n".join(page.extract_text() for page in pages)
    if response.streaming:
        return b"".join(response.streaming_content).decode()
    return str(response.content.decode())
