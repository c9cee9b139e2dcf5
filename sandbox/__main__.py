"""``python -m sandbox``: serve until stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import socket
import sys

import uvicorn

from sandbox.app import build
from sandbox.config import BadConfig, Config, from_env


def main() -> None:
    """Start on loopback; a wrong variable or a taken port ends it with one line that names it."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        config = from_env()
        listener = _listen(config.port)
    except BadConfig as problem:
        sys.exit(f"sandbox: {problem}")
    config = _with_port(config, listener.getsockname()[1])
    print(f"sandbox: {config.public_url} (no real money moves here)", flush=True)
    server = uvicorn.Server(
        uvicorn.Config(build(config), access_log=False, log_level="warning", lifespan="on")
    )
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


def _listen(port: int) -> socket.socket:
    # With the protocol named, asyncio turns off Nagle's algorithm: 40 ms less per answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        raise BadConfig(f"port {port} is taken (SANDBOX_PORT)") from None
    return listener


def _with_port(config: Config, port: int) -> Config:
    """The configuration after the system chose a free port."""
    if config.port or os.environ.get("SANDBOX_URL"):
        return config
    return dataclasses.replace(config, port=port, public_url=f"http://127.0.0.1:{port}")


if __name__ == "__main__":
    main()
