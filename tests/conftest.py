"""What every kind of test may ask for."""

import gc
import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# gRPC reads this when it is imported.  Its handlers of fork() can end a child before it runs its program, if another
# thread is in gRPC at that moment; the tests fork to run PostgreSQL's programs as its user.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from tests import processes

# How long an example takes says how busy the machine is.  The parent is Hypothesis' own for CI, where that is set.
settings.register_profile("unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Leave the tests themselves, which stay until the end, out of the garbage collector's rounds: a third of the time
    that collecting them takes.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name no case after bytes: they are long, and where a key is made for the test another name in each worker."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture
def free_port() -> int:
    return processes.free_port()
