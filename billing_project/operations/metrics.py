"""Prometheus metrics: what this machine's web workers count, and what the database knows.

Web workers are processes; each counts into files of its own, and whichever is asked adds them up
(prometheus_client's multiprocess mode). What Celery did is counted in Redis, for workers may be
anywhere; what is stored is asked of the database. No label holds what a customer chose.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Requests for addresses that do not exist share one name, or whoever tries some makes many.
_NOWHERE = "none"


def share_between_workers(folder: Path) -> None:
    """Let the processes that are forked from this one count together, from zero.

    Before prometheus_client is imported, which reads the variable then.
    """
    if "prometheus_client" in sys.modules:
        raise RuntimeError("prometheus_client is imported already")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    os.environ[_FOLDER] = str(folder)


def observe_request(request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
    """Count one request by the view that answered it."""
    from billing_project.operations import request_metrics

    match = request.resolver_match
    view = (match.view_name if match else "") or _NOWHERE
    method = request.method if request.method in _METHODS else "other"
    request_metrics.ANSWERED.labels(view, method, str(response.status_code)).inc()
    request_metrics.TIMED.labels(view, method).observe(seconds)


def render() -> bytes:
    """All metrics as text."""
    from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    from billing_project.operations import request_metrics, stored_metrics  # noqa: F401

    ours = CollectorRegistry()
    ours.register(_Collector(stored_metrics.collect))
    counted = REGISTRY
    if os.environ.get(_FOLDER):
        counted = CollectorRegistry()
        MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
    return generate_latest(counted) + generate_latest(ours)


class _Collector:
    """A function as prometheus_client wants it."""

    def __init__(self, collect: Any) -> None:
        self._collect = collect

    def describe(self) -> Iterable[Any]:
        """Nothing before it is asked."""
        return ()

    def collect(self) -> Iterable[Any]:
        """What the function says now."""
        return self._collect()  # type: ignore[no-any-return]
