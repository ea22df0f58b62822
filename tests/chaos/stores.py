"""Every store of the suite by name."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

from tests.chaos.cluster import Cluster
from tests.chaos.quorum import Quorum
from tests.chaos.sentinel import Sentinels
from tests.chaos.single import Memory, OnePrimary
from tests.chaos.sql import Postgres, Sqlite
from tests.chaos.topology import AbsentError, Topology
from tests.postgres import WHY_NOT
from tests.processes import REDIS, VALKEY, Engine


def _engine(engine: Engine) -> Engine:
    if engine.program is None:
        raise AbsentError(engine.why_not)
    return engine


def _with(module: str, made: Callable[[], Topology]) -> Topology:
    """Make the topology of a store whose code is here."""
    if importlib.util.find_spec(f"ott_extauthz.stores.{module}") is None:
        raise AbsentError(f"this version has no ott_extauthz.stores.{module}")
    return made()


def _postgres() -> Topology:
    if WHY_NOT:
        raise AbsentError(WHY_NOT)
    return Postgres()


STORES: dict[str, Callable[[Path], Topology]] = {
    "redis-valkey": lambda folder: OnePrimary(_engine(VALKEY), folder, appendonly=True),
    "redis-redis": lambda folder: OnePrimary(_engine(REDIS), folder, appendonly=False),
    "sentinel": lambda folder: _with("redislist.sentinel", lambda: Sentinels(VALKEY, folder, waits=False)),
    "sentinel-wait": lambda folder: _with("redislist.sentinel", lambda: Sentinels(VALKEY, folder, waits=True)),
    "cluster": lambda folder: _with("redislist.cluster", lambda: Cluster(VALKEY, folder)),
    "quorum": lambda folder: _with("redislist.quorum", lambda: Quorum(VALKEY, folder)),
    "sqlite": lambda folder: _with("sqllist.sqlite", lambda: Sqlite(folder)),
    "postgresql": lambda _: _with("sqllist.postgres", _postgres),
    "memory": lambda _: Memory(),
}
"""Each makes its topology in a folder, or raises AbsentError."""
