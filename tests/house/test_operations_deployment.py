"""Dockerfile and compose.yaml, as far as they can be held to their word without Docker."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands

from billing_project.paths import BASE_DIR
from tests import database, environment, live
from tests.house.processes import PRODUCTION
from tests.house.test_beat import until

DOCKERFILE = (BASE_DIR / "Dockerfile").read_text().replace("\\\n", " ")
COMPOSE: dict[str, Any] = yaml.safe_load((BASE_DIR / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = ("migrate", "web", "worker", "beat")
ASSETS = BASE_DIR / "static" / "dist"


def stages() -> dict[str, list[str]]:
    """Each stage's instructions by its name."""
    found: dict[str, list[str]] = {}
    for line in filter(None, map(str.strip, DOCKERFILE.splitlines())):
        if line.startswith("#"):
            continue
        if line.startswith("FROM "):
            found[line.split(" AS ")[1]] = [line]
        else:
            found[list(found)[-1]].append(line)
    return found


def copied(stage: str) -> list[tuple[str, str]]:
    """What a stage takes from the checkout, and where to."""
    pairs = []
    for line in stages()[stage]:
        words = line.split()
        if words[0] == "COPY" and not words[1].startswith("--from"):
            pairs += [(source, words[-1]) for source in words[1:-1]]
    return pairs


def test_compose_has_every_process_and_every_service() -> None:
    assert set(SERVICES) == {*OURS, "database", "redis"}


def test_processes_are_started_as_in_the_procfile() -> None:
    procfile = dict(
        line.split(": ", 1) for line in (BASE_DIR / "Procfile").read_text().splitlines()
    )

    for name in ("web", "worker", "beat"):
        assert SERVICES[name]["command"].split() == procfile[name].split()


def test_migrations_run_once_and_before_everything_else() -> None:
    words = SERVICES["migrate"]["command"].split()

    assert words[:2] == ["python", "manage.py"]
    assert words[2] in get_commands()
    assert SERVICES["migrate"]["restart"] == "no"
    assert SERVICES["migrate"]["depends_on"]["database"]["condition"] == "service_healthy"
    for name in ("web", "worker", "beat"):
        condition = SERVICES[name]["depends_on"]["migrate"]["condition"]
        assert condition == "service_completed_successfully"


def test_every_variable_is_explained() -> None:
    documented = set(environment.documented_variables())
    text = (BASE_DIR / "compose.yaml").read_text()
    given = {name for service in OURS for name in SERVICES[service]["environment"]}

    assert set(re.findall(r"\$\{([A-Z_]+)", text)) <= documented
    assert given <= documented
    assert {"DATABASE_URL", "REDIS_URL", "HOST", "PORT"} <= given


@pytest.mark.parametrize("name", [*OURS, "database", "redis"])
def test_no_secret_stands_in_the_file(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if "PASSWORD" in variable:
            assert value.startswith("${")
    assert name not in OURS or SERVICES[name]["env_file"] == ".env"


@pytest.mark.parametrize("name", ["web", "worker", "beat", "database", "redis"])
def test_services_come_back_and_are_watched_and_stop_in_time(name: str) -> None:
    service = SERVICES[name]

    assert service["restart"] == "unless-stopped"
    assert re.fullmatch(r"\d+[sm]", service["stop_grace_period"])
    if name == "web":  # the image's own check
        assert "HEALTHCHECK" in DOCKERFILE
    else:
        assert service["healthcheck"]["test"][0] == "CMD"


def test_what_is_stored_has_a_volume() -> None:
    for name in ("database", "redis"):
        (volume,) = SERVICES[name]["volumes"]
        assert volume.split(":")[0] in COMPOSE["volumes"]


def test_only_the_web_server_can_be_reached_and_only_from_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert published == {"web": ["127.0.0.1:8000:8000"]}
    assert SERVICES["database"]["networks"] == SERVICES["redis"]["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}


@pytest.mark.parametrize("name", OURS)
def test_our_containers_can_do_little(name: str) -> None:
    assert SERVICES[name]["read_only"] is True
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in SERVICES[name]["security_opt"]


def test_images_are_pinned_and_fit_the_code() -> None:
    (base,) = {line[0].split()[1] for line in stages().values() if not _is_stage(line[0])}
    version = re.fullmatch(r"python:(3\.\d+)\.\d+-slim-\w+", base)

    assert version is not None
    assert version[1] in ("3.11", "3.12", "3.13")
    assert re.fullmatch(r"postgres:(1[5-9])\.\d+-\w+", SERVICES["database"]["image"])
    assert re.fullmatch(r"redis:\d+\.\d+-\w+", SERVICES["redis"]["image"])


def _is_stage(line: str) -> bool:
    return line.split()[1] in stages()


def test_the_image_runs_as_nobody_with_nothing_for_development() -> None:
    last = stages()["portal"]
    users = [line.split()[1] for line in last if line.startswith("USER ")]

    assert len(stages()) >= 3
    assert users[-1].isdigit()
    assert int(users[-1]) > 0
    assert not any(line.startswith("RUN") for line in last[last.index(f"USER {users[-1]}") :])
    assert "requirements-dev" not in DOCKERFILE
    assert [source for source, _ in copied("packages")] == ["requirements.txt"]


@pytest.mark.parametrize("stage", ["assets", "packages", "portal"])
def test_whatever_is_copied_is_there_and_reaches_the_build(stage: str) -> None:
    lines = (BASE_DIR / ".dockerignore").read_text().splitlines()
    let_in = [line.removeprefix("!") for line in lines if line.startswith("!")]

    for source, _ in copied(stage):
        assert (BASE_DIR / source).exists(), source
        assert source in let_in, source
    assert "*" in lines


@pytest.mark.parametrize("secret", [".env", ".git", "var", "tests", "node_modules", "sandbox"])
def test_what_must_stay_out_of_the_build_does(secret: str) -> None:
    lines = (BASE_DIR / ".dockerignore").read_text().splitlines()
    let_in = [line.removeprefix("!") for line in lines if line.startswith("!")]

    assert not any(fnmatch.fnmatch(secret, pattern) for pattern in let_in)


def test_every_app_of_ours_is_in_the_image() -> None:
    here = {path.name for path in BASE_DIR.iterdir() if (path / "__init__.py").exists()}
    ours = {app.split(".")[0] for app in settings.INSTALLED_APPS} & here

    assert ours <= {source for source, _ in copied("portal")}


# -- the image's last stage, in a folder ----------------------------------------------------------


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the last stage copies, and its collected files."""
    live.build_assets()
    folder = tmp_path_factory.mktemp("image")
    for source, target in copied("portal"):
        where = folder / target
        if (BASE_DIR / source).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(BASE_DIR / source, where, ignore=ignored)
        else:
            where.mkdir(parents=True, exist_ok=True) if target.endswith("/") else None
            shutil.copy(BASE_DIR / source, where)
    shutil.copytree(ASSETS, folder / "static" / "dist")
    nowhere = {
        "SANDBOX": "1",
        "DATABASE_URL": "postgresql:///none",
        "REDIS_URL": "redis://127.0.0.1",
    }
    done = _python(folder, "manage.py", "collectstatic", "--noinput", "--verbosity=0", **nowhere)
    assert done.wait(60) == 0, (folder / "log").read_text()
    return folder


@pytest.fixture
def deployed(image: Path, own_database: str) -> Iterator[dict[str, str]]:
    """The environment of a portal in production."""
    redis = environment.own_redis()
    (port,) = live.free_ports(1)
    try:
        yield PRODUCTION | {
            "DATABASE_URL": database.url(own_database),
            "REDIS_URL": redis.join(),
            "HOST": "127.0.0.1",
            "PORT": str(port),
        }
    finally:
        redis.leave()


def _python(folder: Path, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in set(environment.documented_variables())
    }
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=inherited | {"ENV_FILE": ""} | variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


@pytest.mark.parametrize("name", ["web", "worker", "beat"])
def test_the_files_of_the_image_are_enough_to_run(
    image: Path, deployed: dict[str, str], name: str
) -> None:
    arguments = SERVICES[name]["command"].split()[1:]
    (image / "var" / "run" / f"{name}.alive").unlink(missing_ok=True)

    def is_healthy() -> bool:
        probe = ("-m", "billing_project.operations.probe", name)
        return _python(image, *probe, **deployed).wait(30) == 0

    assert not is_healthy()
    process = _python(image, *arguments, **deployed)
    try:
        until(is_healthy, lambda: (image / "log").read_text()[-4000:])
        if name == "web":
            assert "/static/dist/app." in _page(deployed, "/accounts/login/")
            with pytest.raises(urllib.error.HTTPError, match="404"):
                _page(deployed, "/metrics")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def _page(deployed: dict[str, str], path: str) -> str:
    """A page as the reverse proxy asks for it."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{deployed['PORT']}{path}",
        headers={
            "Host": "billing.example.com",
            "X-Forwarded-For": "203.0.113.9",
            "X-Forwarded-Proto": "https",
        },
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        text: str = answer.read().decode()
    return text
