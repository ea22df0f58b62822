"""Several real store processes as one deployment: a primary with replicas and sentinels, a cluster, a quorum."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from tests.processes import START_SECONDS, Engine, StoreProcess, free_port, running

NAME = "ott"
DOWN_AFTER_MS = 300
NO_TLS: Mapping[str, str] = {}


def until(condition: Callable[[], bool], what: str, *, seconds: float = START_SECONDS) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except (redis.RedisError, OSError):
            pass  # it may be on its way up or down
        assert time.monotonic() < end, what
        time.sleep(0.02)


def _several(servers: Sequence[StoreProcess], kind: str) -> str:
    return f"{servers[0].scheme}+{kind}://{','.join(f'127.0.0.1:{each.served_port}' for each in servers)}"


class SentinelProcess(StoreProcess):
    """Watches one primary; writes what it learns into its own configuration."""

    def __init__(self, engine: Engine, folder: Path, *, primary: int, majority: int, **directives: str) -> None:
        super().__init__(engine, folder, tls=bool(directives), **directives)
        self._primary, self._majority = primary, majority

    def _launched(self) -> Any:
        (self.folder / "sentinel.conf").write_text(
            f"port {self.port}\n{f'tls-port {self.tls_port}' if self.tls_port else ''}\nbind 127.0.0.1\n"
            f"dir {self.folder}\nlogfile {self.folder}/log\n"
            f"sentinel monitor {NAME} 127.0.0.1 {self._primary} {self._majority}\n"
            f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {NAME} 1000\nsentinel parallel-syncs {NAME} 5\n"
            + "".join(f"{name.replace('_', '-')} {value}\n" for name, value in self.own.items())
        )
        return self.launched(str(self.folder / "sentinel.conf"), "--sentinel")


@dataclass
class Watched:
    """A primary, its replicas and its sentinels."""

    primary: StoreProcess
    replicas: list[StoreProcess]
    sentinels: list[SentinelProcess] = field(default_factory=list)

    @property
    def servers(self) -> list[StoreProcess]:
        return [self.primary, *self.replicas]

    @property
    def url(self) -> str:
        return f"{_several(self.sentinels, 'sentinel')}/{NAME}"

    def primary_by(self, sentinel: StoreProcess) -> int:
        return int(sentinel.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)[1])

    def wait_for_failover(self, *, away_from: int) -> StoreProcess:
        """Wait until every sentinel names another primary; return it."""
        until(lambda: all(self.primary_by(each) != away_from for each in self.sentinels), "no failover")
        port = self.primary_by(self.sentinels[0])
        return next(server for server in self.servers if server.served_port == port)


@contextmanager
def replicated(engine: Engine, folder: Path, *, replicas: int, tls: Mapping[str, str] = NO_TLS) -> Iterator[Watched]:
    """Run a primary and its replicas; ``tls`` are the directives that make them speak it."""
    own = {"repl_diskless_sync_delay": "0", **tls}
    with ExitStack() as stack:
        primary = stack.enter_context(running(engine, folder / "primary", tls=bool(tls), **own))
        follows = f"127.0.0.1 {primary.served_port}"
        followers = [
            stack.enter_context(running(engine, folder / f"replica{n}", tls=bool(tls), replicaof=follows, **own))
            for n in range(replicas)
        ]
        for follower in followers:
            follower.wait_until_synchronised()
        until(lambda: acknowledging(primary, replicas) == replicas, "the replicas do not acknowledge")
        primary.command("FLUSHALL")
        yield Watched(primary, followers)


@contextmanager
def watched(
    engine: Engine, folder: Path, *, replicas: int = 2, sentinels: int = 3, tls: Mapping[str, str] = NO_TLS
) -> Iterator[Watched]:
    with replicated(engine, folder, replicas=replicas, tls=tls) as deployment, ExitStack() as stack:
        at, majority = deployment.primary.served_port, sentinels // 2 + 1
        for n in range(sentinels):
            sentinel = SentinelProcess(engine, folder / f"sentinel{n}", primary=at, majority=majority, **tls)
            stack.callback(sentinel.kill)
            deployment.sentinels.append(sentinel)
            sentinel.start()

        def know_all(sentinel: StoreProcess) -> bool:
            words = sentinel.command("SENTINEL", "MASTER", NAME)
            known = words if isinstance(words, dict) else dict(zip(words[::2], words[1::2], strict=True))
            return (int(known["num-slaves"]), int(known["num-other-sentinels"])) == (replicas, sentinels - 1)

        until(lambda: all(know_all(each) for each in deployment.sentinels), "the sentinels do not find each other")
        yield deployment


def acknowledging(primary: StoreProcess, replicas: int) -> int:
    """A replica that has just been filled is attached, and online, a moment before it acknowledges anything."""
    with redis.Redis(port=primary.port, protocol=2) as client:
        client.set("probe", "1")
        return int(client.execute_command("WAIT", replicas, 100))


@dataclass
class Sharded:
    """A cluster's primaries, and a replica of the first if there is one."""

    primaries: list[StoreProcess]
    replicas: list[StoreProcess]

    @property
    def servers(self) -> list[StoreProcess]:
        return [*self.primaries, *self.replicas]

    @property
    def url(self) -> str:
        return _several(self.servers, "cluster")


class ClusterProcess(StoreProcess):
    """The bus port is chosen, too: the usual one, 10000 above, may not exist."""

    def _launched(self) -> Any:
        self.own["cluster_port"] = str(free_port())
        return super()._launched()


@contextmanager
def sharded(
    engine: Engine, folder: Path, *, primaries: int = 3, replicas: int = 0, tls: Mapping[str, str] = NO_TLS
) -> Iterator[Sharded]:
    with ExitStack() as stack:
        servers: list[StoreProcess] = []
        for n in range(primaries + replicas):
            server = ClusterProcess(
                engine,
                folder / f"node{n}",
                tls=bool(tls),
                cluster_enabled="yes",
                cluster_node_timeout="500",
                cluster_require_full_coverage="no",
                cluster_replica_validity_factor="0",
                repl_diskless_sync_delay="0",
                **tls,
            )
            stack.callback(server.kill)
            servers.append(server)
            server.start()
        first, others = servers[0], servers[1:]
        for n, shard in enumerate(servers[:primaries]):
            bounds = [16384 * at // primaries for at in (n, n + 1)]
            shard.command("CLUSTER", "ADDSLOTSRANGE", bounds[0], bounds[1] - 1)
            shard.command("CLUSTER", "SET-CONFIG-EPOCH", n + 1)
        for other in others:
            first.command("CLUSTER", "MEET", "127.0.0.1", other.served_port, other.own["cluster_port"])
        until(lambda: all(_knows(each, len(servers)) for each in servers), "the cluster does not form")
        for follower in servers[primaries:]:
            follower.command("CLUSTER", "REPLICATE", first.command("CLUSTER", "MYID"))
            follower.wait_until_synchronised()
        until(lambda: all(_is_whole(each, replicas) for each in servers), "the cluster is not whole")
        yield Sharded(servers[:primaries], servers[primaries:])


def _raw_nodes(server: StoreProcess) -> str:
    with redis.Redis(port=server.port, protocol=2) as client:
        client.response_callbacks.clear()
        return bytes(client.execute_command("CLUSTER NODES")).decode()


def _knows(server: StoreProcess, count: int) -> bool:
    text = _raw_nodes(server)
    return len(text.splitlines()) == count and "handshake" not in text


def _is_whole(server: StoreProcess, replicas: int) -> bool:
    with redis.Redis(port=server.port, protocol=2) as client:
        client.response_callbacks.clear()
        info = bytes(client.execute_command("CLUSTER INFO")).decode()
    is_ok = "cluster_state:ok" in info and "cluster_slots_assigned:16384" in info
    return is_ok and _raw_nodes(server).count(" slave ") + _raw_nodes(server).count("myself,slave") == replicas


@dataclass
class Independent:
    """Servers that know nothing of each other."""

    servers: list[StoreProcess]

    @property
    def url(self) -> str:
        return _several(self.servers, "quorum")


@contextmanager
def independent(
    engine: Engine, folder: Path, *, count: int = 3, tls: Mapping[str, str] = NO_TLS
) -> Iterator[Independent]:
    with ExitStack() as stack:
        folders = [folder / f"server{n}" for n in range(count)]
        yield Independent([stack.enter_context(running(engine, each, tls=bool(tls), **tls)) for each in folders])
