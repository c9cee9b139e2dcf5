from tests.sandbox.fixtures import api, listener, running_sandbox, sandbox

__all__ = ["api", "listener", "running_sandbox", "sandbox"]
