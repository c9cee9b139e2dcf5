"""Start the portal's entry points with an environment of the test's choosing."""

from __future__ import annotations

import os
import subprocess
import sys

from billing_project.paths import BASE_DIR
from tests import environment

PRODUCTION = {
    "SECRET_KEY": "production-key-of-a-test-0123456789-abcdefghijklmnopqrstuvwxyz",
    "PUBLIC_URL": "https://billing.example.com",
    "EMAIL_URL": "smtp+tls://user:password@smtp.example.com:587",
    "SANDBOX": "0",
}


def run(*arguments: str, **variables: str | None) -> subprocess.CompletedProcess[str]:
    """Run Python with the tests' services and these variables; None unsets one."""
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in set(environment.documented_variables())
    }
    of_the_tests = ("DATABASE_URL", "REDIS_URL", "SANDBOX_CLOCK")
    env |= {name: os.environ[name] for name in of_the_tests} | {"ENV_FILE": ""}
    for name, value in variables.items():
        if value is None:
            env.pop(name, None)
        else:
            env[name] = value
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=BASE_DIR,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
