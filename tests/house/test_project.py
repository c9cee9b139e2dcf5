"""What holds the apps together: contracts, schedule, headers, logs, cache."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import pytest
import structlog
from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.test import Client

from billing_project import logs
from billing_project.beat import SingleScheduler
from billing_project.celery import app
from billing_project.paths import BASE_DIR

APPS = ("accounts", "billing", "billing_project", "common", "sandbox")


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("billing/models/__init__.py", "from billing import services"),
        ("billing/services/__init__.py", "import djstripe.models"),
        ("common/clock.py", "from accounts import selectors"),
        ("accounts/selectors.py", "import billing_project.env"),
        ("billing/rails/__init__.py", "import sandbox.config"),
        ("sandbox/config.py", "import common.clock"),
    ],
)
def test_an_import_against_the_layers_breaks_a_contract(
    tmp_path: Path, module: str, line: str
) -> None:
    for name in APPS:
        shutil.copytree(BASE_DIR / name, tmp_path / name)
    shutil.copy(BASE_DIR / "pyproject.toml", tmp_path)
    with (tmp_path / module).open("a") as file:
        file.write(f"\n{line}\n")

    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [program, "--no-cache"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "1 broken" in done.stdout


def test_the_schedule_names_tasks_that_exist() -> None:
    app.loader.import_default_modules()

    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}

    assert scheduled <= set(app.tasks)


@pytest.mark.django_db(transaction=True)
def test_only_one_of_two_beats_rings_and_the_other_takes_over() -> None:
    first, second = SingleScheduler(app=app), SingleScheduler(app=app)

    assert first._holds_the_lock()
    assert first._holds_the_lock()
    assert not second._holds_the_lock()

    first._lock_connection.close()
    deadline = time.monotonic() + 10  # the server notices a moment later
    while not second._holds_the_lock():
        assert time.monotonic() < deadline
    assert not first._holds_the_lock()
    second._lock_connection.close()
    first._lock_connection.close()


def test_tasks_survive_a_lost_worker() -> None:
    assert app.conf.task_acks_late
    assert app.conf.task_reject_on_worker_lost
    assert app.conf.worker_prefetch_multiplier == 1
    assert app.conf.broker_transport_options["visibility_timeout"] > app.conf.task_time_limit


@pytest.mark.django_db
def test_pages_forbid_inline_scripts(client: Client) -> None:
    answer = client.get("/accounts/login/")

    policy = answer["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer["X-Frame-Options"] == "DENY"


@pytest.mark.django_db
def test_only_the_admin_and_the_api_docs_have_a_wider_policy(client: Client) -> None:
    admin = client.get("/admin/login/")["Content-Security-Policy"]
    docs = client.get("/api/docs")["Content-Security-Policy"]

    assert "script-src 'self' 'unsafe-eval' 'unsafe-inline'" in admin
    assert "script-src" not in docs
    assert "style-src 'self' 'unsafe-inline'" in docs


@pytest.mark.django_db
def test_api_docs_load_nothing_from_elsewhere(client: Client) -> None:
    page = client.get("/api/docs").content.decode()

    assert "//" not in page.replace("<!--", "").replace("-->", "")


@pytest.mark.django_db
def test_a_request_keeps_a_sane_id_and_replaces_a_strange_one(client: Client) -> None:
    kept = client.get("/healthz", headers={"X-Request-ID": "abcd-1234"})
    replaced = client.get("/healthz", headers={"X-Request-ID": "a b\tc"})

    assert kept["X-Request-ID"] == "abcd-1234"
    assert len(replaced["X-Request-ID"]) == 36


def test_logs_are_json_without_secrets() -> None:
    out = _logged(
        "calling with %s and %s",
        "sk_live_" + "a" * 24,
        "postgresql://portal:hunter2@db/portal",
    )

    assert out["event"] == "calling with sk_live_*** and postgresql://portal:***@db/portal"
    assert out["level"] == "warning"
    assert out["request_id"] == "request-1"


def test_logs_hide_values_named_like_secrets() -> None:
    out = _logged("signing in", extra={"password": "hunter2", "user": "a@example.com"})

    assert out["password"] == "***"
    assert out["user"] == "a@example.com"


def test_tracebacks_in_logs_hide_secrets_too() -> None:
    try:
        raise RuntimeError("refused whsec_hunter2")
    except RuntimeError:
        out = _logged("failed", exc_info=True)

    assert "hunter2" not in json.dumps(out)
    assert "RuntimeError: refused whsec_***" in out["exception"]


@pytest.fixture
def dead_cache(monkeypatch: pytest.MonkeyPatch) -> BaseCache:
    broken = dict(settings.CACHES["default"], LOCATION="redis://127.0.0.1:9/0")
    monkeypatch.setitem(caches.settings, "broken", broken)
    return caches["broken"]


def test_without_redis_the_cache_is_empty_not_broken(dead_cache: BaseCache) -> None:
    dead_cache.set("key", 1)

    assert dead_cache.get("key") is None
    assert dead_cache.get("key", "default") == "default"
    assert dead_cache.get_many(["key"]) == {}
    assert dead_cache.add("key", 1)
    assert not dead_cache.delete("key")
    assert "key" not in dead_cache


def _logged(message: str, *args: object, **kwargs: object) -> dict[str, str]:
    """What one warning comes out as."""
    config = logs.config("INFO")
    formatter = dict(config["formatters"]["json"])
    out = StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter.pop("()")(**formatter))
    logger = logging.getLogger("tests.house")
    logger.addHandler(handler)
    try:
        with structlog.contextvars.bound_contextvars(request_id="request-1"):
            logger.warning(message, *args, **kwargs)  # type: ignore[arg-type]
    finally:
        logger.removeHandler(handler)
    line: dict[str, str] = json.loads(out.getvalue())
    return line
