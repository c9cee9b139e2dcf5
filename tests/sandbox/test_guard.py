"""Who may talk to the sandbox, and how it starts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.config import BadConfig, from_env
from tests.sandbox.server import ROOT, Sandbox


@pytest.mark.parametrize("host", ["example.com", "127.0.0.1.example.com", "[::1", "", "10.0.0.1"])
def test_other_hosts_are_refused(sandbox: Sandbox, host: str) -> None:
    for path in ("/", "/v1/balance", "/_sandbox/books"):
        assert sandbox.http.get(path, headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1234", "[::1]:80"])
def test_names_of_this_machine_are_taken(sandbox: Sandbox, host: str) -> None:
    assert sandbox.http.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://example.com", "null", "http://127.0.0.1:1"])
def test_forms_of_other_origins_are_refused(sandbox: Sandbox, origin: str) -> None:
    session = sandbox.session()

    for path in (f"/c/pay/{session.id}", "/_sandbox/reset", "/_sandbox/stripe/settings"):
        answer = sandbox.http.post(path, data={"action": "pay"}, headers={"Origin": origin})
        assert answer.status_code == 403

    own = sandbox.http.post(
        "/_sandbox/stripe/settings", data={"tax_bps": "5"}, headers={"Origin": sandbox.url}
    )
    assert own.status_code == 303


def test_it_listens_on_loopback_only(sandbox: Sandbox) -> None:
    table = Path("/proc/net/tcp")
    if not table.exists():
        pytest.skip("no /proc here")
    port = f":{sandbox.port:04X}"
    rows = [line.split() for line in table.read_text().splitlines()]

    assert [row[1] for row in rows if row[3] == "0A" and row[1].endswith(port)] == [
        "0100007F" + port
    ]


def test_pages_that_are_not_there_are_404(sandbox: Sandbox) -> None:
    for path in ("/c/pay/cs_none", "/c/pay/cs_none/challenge", "/receipts/x", "/nowhere"):
        assert sandbox.http.get(path).status_code == 404


def test_huge_forms_are_refused(sandbox: Sandbox) -> None:
    session = sandbox.session()

    assert sandbox.submit(session, name="x" * 2_000_000).status_code == 413
    answer = sandbox.http.post("/_sandbox/stripe/settings", content=b"x" * 2_000_000)
    assert answer.status_code == 413


def start(tmp_path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sandbox"],
        cwd=ROOT,
        env={**os.environ, "SANDBOX_DB": str(tmp_path / "sandbox.db"), **env},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_taken_port_is_named_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = start(tmp_path, SANDBOX_PORT=str(port))

    assert done.returncode == 1
    assert done.stderr == f"sandbox: port {port} is taken (SANDBOX_PORT)\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SANDBOX_PORT", "many"),
        ("SANDBOX_PORT", "70000"),
        ("SANDBOX_TAX_BPS", "-1"),
        ("SANDBOX_FEE_BPS", "2.9"),
        ("SANDBOX_BALANCE_DELAY", "soon"),
        ("SANDBOX_RETRY_SECONDS", "1,two"),
        ("SANDBOX_RETRY_SECONDS", "0"),
        ("SANDBOX_URL", "https://example.com"),
        ("SANDBOX_WEBHOOK_URL", "https://example.com/hook"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(BadConfig, match=name):
        from_env({name: value, "SANDBOX_WEBHOOK_SECRET": "whsec_x"})


def test_a_webhook_address_needs_its_secret(tmp_path: Path) -> None:
    done = start(tmp_path, SANDBOX_WEBHOOK_URL="http://127.0.0.1:1/", SANDBOX_WEBHOOK_SECRET="")

    assert done.returncode == 1
    assert "SANDBOX_WEBHOOK_SECRET" in done.stderr
    assert len(done.stderr.splitlines()) == 1
