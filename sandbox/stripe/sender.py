"""The delivery loop: posts signed webhooks, tries again, and ticks what is due by time."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import logging
import time

import httpx

from sandbox.config import Config
from sandbox.store import Json, Store, Tx
from sandbox.stripe import due, outbox
from sandbox.stripe.context import sandbox_now

logger = logging.getLogger("sandbox.stripe")

GIVE_UP_AFTER_SECONDS = 3 * 24 * 3600
TIMEOUT_SECONDS = 10.0
TICK_SECONDS = 0.25


def signature(secret: str, payload: str, timestamp: int) -> str:
    """The ``Stripe-Signature`` header for a body."""
    signed = f"{timestamp}.{payload}".encode()
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


class Sender:
    """Delivers the outbox: one webhook at a time per endpoint, endpoints side by side."""

    def __init__(self, store: Store, config: Config) -> None:
        self.store = store
        self.config = config
        self.client = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False)
        self.wake = asyncio.Event()
        self.busy: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()

        def rouse() -> None:
            loop.call_soon_threadsafe(self.wake.set)

        self.store.listeners.append(rouse)
        try:
            while True:
                self.wake.clear()
                await asyncio.to_thread(self._tick)
                pause_seconds = await self._start_due()
                # Not wait_for: on Python 3.11 it can swallow the cancellation that stops us.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_seconds):
                        await self.wake.wait()
        finally:
            self.store.listeners.remove(rouse)
            for task in self.busy.values():
                task.cancel()
            await self.client.aclose()

    def _tick(self) -> None:
        """Do what has fallen due by the sandbox's time: see ``due``."""
        try:
            with self.store.transaction() as tx:
                due.run(tx, self.config, sandbox_now(tx))
        except Exception:  # webhooks go on; a call that changes something meets it again
            logger.exception("what is due could not be done")

    async def _start_due(self) -> float:
        """Set idle endpoints to work on what is due; how long until there may be more."""
        waiting, next_at = await asyncio.to_thread(self._look)
        for endpoint in {delivery["endpoint"] for delivery in waiting} - set(self.busy):
            mine = [delivery for delivery in waiting if delivery["endpoint"] == endpoint]
            task = asyncio.create_task(self._work_off(endpoint, mine))
            self.busy[endpoint] = task
        if next_at is None:
            return TICK_SECONDS
        return min(TICK_SECONDS, max(0.01, next_at - time.time()))

    def _look(self) -> tuple[list[Json], float | None]:
        with self.store.transaction() as tx:
            return outbox.due(tx, time.time()), outbox.next_due_at(tx)

    async def _work_off(self, endpoint: str, deliveries: list[Json]) -> None:
        try:
            for delivery in deliveries:
                if await asyncio.to_thread(self._still_due, delivery["id"]):
                    await self.deliver(delivery["id"])
        finally:
            del self.busy[endpoint]
            self.wake.set()

    def _still_due(self, id: int) -> bool:
        """Control may have held, dropped or sent it in the meantime."""
        with self.store.transaction() as tx:
            now = outbox.delivery(tx, id)
        return now is not None and now["status"] == "pending"

    async def deliver(self, id: int) -> Json | None:
        """Post a delivery once, now, and note how it went; None if there is no such delivery."""
        letter = await asyncio.to_thread(self._letter, id)
        if letter is None:
            return None
        url, secret, payload = letter
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(secret, payload, int(time.time())),
            "User-Agent": "Stripe/1.0 (sandbox)",
        }
        status, answer = None, ""
        try:
            response = await self.client.post(url, content=payload.encode(), headers=headers)
            status, answer = response.status_code, response.text[:2000]
            error = None if response.is_success else f"HTTP {status}"
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            error = f"{type(problem).__name__}: {problem}"[:300]
        noted = await asyncio.to_thread(self._note, id, status, error)
        logger.info("webhook %s %s: %s", noted["type"], noted["event"], error or status)
        return {"delivery": noted, "response_status": status, "response_body": answer}

    def _letter(self, id: int) -> tuple[str, str, str] | None:
        """(address, signing secret, body) of a delivery."""
        with self.store.transaction() as tx:
            delivery = outbox.delivery(tx, id)
            if delivery is None:
                return None
            endpoint = tx.get("webhook_endpoint", delivery["endpoint"])
            event = tx.get("event", delivery["event"])
            secret = tx.private("webhook_endpoint", delivery["endpoint"]).get("secret", "")
        if endpoint is None or event is None:
            return None
        return endpoint["url"], secret, json.dumps(event, indent=2)

    def _note(self, id: int, status: int | None, error: str | None) -> Json:
        with self.store.transaction() as tx:
            before = outbox.delivery(tx, id)
            if before is None:  # everything was reset while it was on its way
                return {"id": id, "type": "?", "event": "?"}
            self._record(tx, before, status, error)
            return {**before, **(outbox.delivery(tx, id) or {})}

    def _record(self, tx: Tx, before: Json, status: int | None, error: str | None) -> None:
        now, attempts = time.time(), before["attempts"] + 1
        pauses = self.config.retry_seconds
        next_at = now + pauses[min(attempts, len(pauses)) - 1]
        state = before["status"]
        if error is None:
            state = "delivered"
        elif state == "pending" and next_at - before["created_at"] > GIVE_UP_AFTER_SECONDS:
            state = "failed"
        tx.run(
            "UPDATE deliveries SET status = ?, attempts = ?, next_attempt_at = ?, "
            "response_status = ?, error = ? WHERE id = ?",
            (state, attempts, next_at if state == "pending" else None, status, error, before["id"]),
        )
