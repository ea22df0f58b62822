"""Can the store serve, and what should an operator mend?  One line for ``/readyz`` and the log."""

from dataclasses import dataclass, replace
from typing import Final

from ott_extauthz.ports import StoreHealth, StoreServer, StoreState
from ott_extauthz.stores.redislist.answers import Look, Verdict
from ott_extauthz.stores.redislist.persistence import Persistence
from ott_extauthz.stores.redislist.places import Place

OLDEST_MAJOR: Final = 7
"""``SET … NX GET`` came with Redis 7.0.  Every Valkey has it, and calls itself redis_version 7.2.4."""

_TROUBLES: Final = {
    Verdict.REPLICA: "it is a replica; store.url must name the primary",
    Verdict.EVICTS: "it may evict keys, and so forget; set its maxmemory-policy to noeviction",
    Verdict.HIDDEN: "its INFO hides run_id, master_replid or evicted_keys, so that a loss could not be seen",
}


_STATES: Final = {
    Verdict.WHOLE: StoreState.WHOLE,
    Verdict.CLOCK: StoreState.CLOCK,
    Verdict.REPLICA: StoreState.REPLICA,
    Verdict.EVICTS: StoreState.EVICTS,
    Verdict.HIDDEN: StoreState.UNFIT,
}


@dataclass(frozen=True, slots=True)
class Server:
    """What kind of server answers."""

    name: str
    redis_major: int

    @property
    def is_too_old(self) -> bool:
        """Whether the script cannot run there."""
        return self.redis_major < OLDEST_MAJOR


def server_from(reply: object) -> Server | None:
    """Read the answer to INFO server; None for anything else."""
    if not isinstance(reply, bytes):
        return None
    lines = (line.partition(":") for line in reply.decode(errors="replace").splitlines())
    fields = {name: value for name, _, value in lines}
    version, valkey = fields.get("redis_version", ""), fields.get("valkey_version")
    major = version.partition(".")[0]
    if not major.isdecimal():
        return None
    return Server(f"Valkey {valkey}" if valkey else f"Redis {version}", int(major))


def health_from(look: Look, *, server: Server, now_ms: int, max_skew_ms: int, margin_ms: int) -> StoreHealth:
    """Judge what a look found; ``now_ms`` is the caller's time that the look was sent with."""
    ahead_ms = look.now_ms - now_ms
    found = (StoreServer("", _STATES[look.verdict], look.since_ms or None, ahead_ms),)
    if look.verdict is Verdict.WHOLE:
        return StoreHealth(ready=True, detail=f"{server.name}, {_wholeness(look, margin_ms)}", servers=found)
    if look.verdict is Verdict.CLOCK:
        detail = f"{server.name}: {_disagreement(ahead_ms, max_skew_ms)}"
        return StoreHealth(ready=False, detail=detail, servers=found)
    return StoreHealth(ready=False, detail=f"{server.name}: {_TROUBLES[look.verdict]}", servers=found)


def of_place(place: Place, health: StoreHealth, persistence: Persistence | None) -> StoreHealth:
    """Say where that is, and what is known of its disk; one that was not looked into is unfit."""
    found = health.servers or (StoreServer("", StoreState.UNFIT),)
    servers = tuple(replace(server, name=str(place)) for server in found)
    if persistence is None:
        return StoreHealth(ready=health.ready, detail=f"{place}: {health.detail}", servers=servers)
    told = (f"{place}: {persistence.text}",)
    return StoreHealth(
        ready=health.ready,
        detail=f"{place}: {health.detail}; {persistence.text}",
        remarks=() if persistence.fails else told,
        warnings=told if persistence.fails else (),
        servers=servers,
    )


def _wholeness(look: Look, margin_ms: int) -> str:
    whole_ms = look.now_ms - look.since_ms
    if whole_ms <= margin_ms:
        return f"whole for {whole_ms} ms: tokens older than that and {margin_ms} ms are refused as store_epoch"
    return f"whole for {whole_ms // 1000} s"


def _disagreement(ahead_ms: int, max_skew_ms: int) -> str:
    side = "ahead of" if ahead_ms > 0 else "behind"
    return (
        f"its clock is {abs(ahead_ms)} ms {side} ours; mend NTP on either machine, or clock.max_skew ({max_skew_ms} ms)"
    )
