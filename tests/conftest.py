"""What every kind of test may ask for, and how they are spread over two cores."""

import os
import re
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# gRPC reads this when it is imported.  Its handlers of fork() can end a child before it runs its program, if another
# thread is in gRPC at that moment; the tests fork to run PostgreSQL's programs as its user.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from tests import processes

# How long an example takes says how busy the machine is.  The parent is Hypothesis' own for CI, where that is set.
settings.register_profile("unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

_RIG = re.compile(r"[\[-]((?:native|grpcio)-(?:memory|redis))[]-]")


@cache  # asked for again and again, of every test that is left
def _scope_of(nodeid: str) -> str:
    if nodeid.startswith("tests/chart/"):
        return nodeid.partition("::")[0]
    found = _RIG.search(nodeid) if nodeid.startswith("tests/e2e/") else None
    return found[1] if found else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the cases of one end-to-end rig together: its Envoy and its servers start once; and those of one file about
    the chart, which look at the same renderings.
    """
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - only where xdist spreads the tests

    class ByRig(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            return _scope_of(nodeid)

    return ByRig(config, log)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name no case after bytes: they are long, and where a key is made for the test another name in each worker."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture
def free_port() -> int:
    return processes.free_port()
