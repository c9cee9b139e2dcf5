"""A bad environment stops every entry point with one line that names the variable."""

from __future__ import annotations

import ast
import json
import re
import socket
from collections.abc import Iterator

import pytest

from billing import catalogue
from billing_project.paths import BASE_DIR
from tests import environment
from tests.house.processes import PRODUCTION, run

ENTRY_POINTS = {
    "manage.py": ["manage.py", "check"],
    "worker": ["-m", "celery", "-A", "billing_project.celery", "worker"],
    "web": ["-m", "billing_project.web"],
    "run": ["-m", "billing_project.run"],
}
SETTINGS = "from billing_project import startup; startup.check()"


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
def test_every_entry_point_refuses_in_one_line(entry_point: str) -> None:
    done = run(*ENTRY_POINTS[entry_point], **PRODUCTION | {"SECRET_KEY": ""})

    assert done.returncode == 1
    assert done.stderr.splitlines() == ["Bad configuration: SECRET_KEY: is required and not set"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PUBLIC_URL", ""),
        ("PUBLIC_URL", "billing.example.com"),
        ("EMAIL_URL", ""),
        ("EMAIL_URL", "pigeon://roof"),
        ("DATABASE_URL", "sqlite:///portal.db"),
        ("DATABASE_URL", "postgresql://host:port/name"),
        ("REDIS_URL", "127.0.0.1:6379"),
        ("DEBUG", "perhaps"),
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("STRIPE_SECRET_KEY", "sk_test_123"),
        ("STRIPE_PUBLISHABLE_KEY", "sk_test_" + "0" * 24),
        ("STRIPE_WEBHOOK_SECRET", "secret"),
        ("UNAPPLIED_POLICY", "keep"),
        ("CREATOR_REVENUE_SHARE", "90"),
        ("CREDITS_SMALL_PRICE", "-5"),
        ("CREDITS_SMALL_AMOUNT", "0"),
        ("CREDITS_LARGE_PRICE", "ten"),
        ("CREDITS_PER_USD", "0"),
    ],
)
def test_a_bad_value_is_refused_by_name(name: str, value: str) -> None:
    done = run("-c", SETTINGS, **PRODUCTION | {name: value})

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"Bad configuration: {name}: ")


def test_a_stripe_key_needs_its_webhook_secret() -> None:
    done = run("-c", SETTINGS, **PRODUCTION | {"STRIPE_SECRET_KEY": "sk_live_" + "0" * 24})

    assert done.stderr.startswith("Bad configuration: STRIPE_WEBHOOK_SECRET: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PUBLIC_URL", "http://billing.example.com"),
        ("SANDBOX_URL", "http://192.0.2.1:8431"),
        ("ALLOWED_HOSTS", "127.0.0.1,*"),
        ("STRIPE_SECRET_KEY", "sk_live_" + "0" * 24),
    ],
)
def test_the_sandbox_refuses_live_keys_and_hosts_others_can_reach(name: str, value: str) -> None:
    done = run("-c", SETTINGS, SANDBOX="1", **{name: value})

    assert done.returncode == 1
    assert done.stderr.startswith(f"Bad configuration: {name}: ")


def test_secrets_are_not_repeated_in_the_refusal() -> None:
    done = run("-c", SETTINGS, **PRODUCTION | {"STRIPE_SECRET_KEY": "sk_live_hunter2"})

    assert "hunter2" not in done.stdout + done.stderr


def test_production_is_served_over_tls_only() -> None:
    show = """
import json
from billing_project import startup
startup.check()
from django.conf import settings as s
print(json.dumps([s.DEBUG, s.SECURE_SSL_REDIRECT, s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE,
                  s.SECURE_HSTS_SECONDS > 0, s.ALLOWED_HOSTS]))
"""
    done = run("-c", show, **PRODUCTION)

    assert json.loads(done.stdout) == [False, True, True, True, True, ["billing.example.com"]]


@pytest.mark.parametrize(("variable", "module"), [("PORT", "web"), ("PORT", "run")])
def test_a_taken_port_is_one_line_that_names_it(variable: str, module: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("-m", f"billing_project.{module}", SANDBOX="1", **{variable: str(port)})

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"Port {port} is taken. Free it or choose another: {variable}={port + 1}"
    ]


def test_a_taken_sandbox_port_names_its_own_variable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("", 0)) as spare:
        free, port = spare.getsockname()[1], taken.getsockname()[1]
        spare.close()
        done = run("-m", "billing_project.run", PORT=str(free), SANDBOX_PORT=str(port))

    assert done.returncode == 1
    assert f"Port {port} is taken" in done.stderr
    assert "SANDBOX_PORT=" in done.stderr


def test_env_example_documents_exactly_what_is_read() -> None:
    documented = environment.documented_variables()

    assert len(documented) == len(set(documented))
    assert set(documented) == set(_variables_read())


def test_env_example_as_it_stands_lacks_only_the_secret(tmp_path_factory: object) -> None:
    done = run("-c", SETTINGS, ENV_FILE=".env.example", SANDBOX="0")

    assert done.stderr == "Bad configuration: SECRET_KEY: is required and not set\n"


def _variables_read() -> Iterator[str]:
    """Names in calls that read the environment, plus the catalogue's list and compose.yaml's."""
    yield from catalogue.VARIABLES
    yield from re.findall(r"\$\{([A-Z_]+)", (BASE_DIR / "compose.yaml").read_text())
    for file in [*BASE_DIR.glob("billing_project/*.py"), *BASE_DIR.glob("sandbox/**/*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and _reads_environment(node.func):
                yield from _names(node.args)
            elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
                yield from _names([node.slice])


def _reads_environment(function: ast.expr) -> bool:
    called = ast.unparse(function)
    return bool(re.match(r"(os\.environ|env|environment)\.\w+$|_(integer|number|pauses)$", called))


def _names(arguments: list[ast.expr]) -> Iterator[str]:
    for argument in arguments[:2]:
        name = argument.value if isinstance(argument, ast.Constant) else None
        if (
            isinstance(name, str)
            and re.fullmatch(r"[A-Z][A-Z0-9_]{2,}", name)
            and name not in OTHERS
        ):
            yield name


# Not ours: Python's, Django's and the shell's, set for child processes.
OTHERS = {"PATH", "PYTHONUNBUFFERED", "PYTHONWARNINGS", "DJANGO_SETTINGS_MODULE"}
