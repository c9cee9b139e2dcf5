"""Whether a port can be listened on."""

from __future__ import annotations

import socket
import sys


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether nobody listens on the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def require_free(variable: str, port: int, host: str = "127.0.0.1") -> None:
    """End the process with one line that names the port and the variable that changes it."""
    if not is_free(port, host):
        sys.exit(f"Port {port} is taken. Free it or choose another: {variable}={port + 1}")
