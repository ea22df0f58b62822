"""How does the used-list do?  What every look at its servers found: their state, the fence, how far clocks differ.

Names of servers are those of ``ott.yaml``, and what a sentinel or a cluster calls its own.
"""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge

from ott_extauthz.observe.departures import Series, forget_series
from ott_extauthz.ports import StoreHealth, StoreServer, StoreState


class StoreGauges:
    """Shows the looks of this process; of several workers as each gauge's description says."""

    def __init__(self, registry: CollectorRegistry, *, max_skew_ms: int) -> None:
        """``max_skew_ms`` is how far a store's clock may differ from ours."""
        self._ready = Gauge(
            "ott_store_ready", "1 while the used-list can spend; of several workers, the one that fares worst.",
            registry=registry, multiprocess_mode="livemin",
        )  # fmt: skip
        self._state = Gauge(
            "ott_store_server_state", "Workers that find this server of the used-list in this state.",
            ["server", "state"], registry=registry, multiprocess_mode="livesum",
        )  # fmt: skip
        self._offset = Gauge(
            "ott_store_clock_offset_seconds", "How far a server's clock is ahead of ours, as last seen.",
            ["server"], registry=registry, multiprocess_mode="livemostrecent",
        )  # fmt: skip
        limit = Gauge(
            "ott_store_clock_limit_seconds", "How far they may differ: clock.max_skew.",
            registry=registry, multiprocess_mode="livemax",
        )  # fmt: skip
        self._fence = Gauge(
            "ott_store_fence_timestamp_seconds",
            "Since when all of the used-list has been whole, by its servers' clocks; 0 before it was seen.",
            registry=registry, multiprocess_mode="livemax",
        )  # fmt: skip
        self._moves = Counter(
            "ott_store_fence_moves", "Times the fence moved while we served: the store forgot, or was replaced.",
            registry=registry,
        )  # fmt: skip
        self._unswept = Counter(
            "ott_store_sweep_failures", "Times that a SQL used-list could not delete what has ended: its tables grow.",
            registry=registry,
        )  # fmt: skip
        limit.set(max_skew_ms / 1000)
        self._since_ms = 0
        self._known: frozenset[str] = frozenset()

    @property
    def servers(self) -> frozenset[str]:
        """The servers of the list, as far as the last look that found any could tell."""
        return self._known

    def forget(self, gone: Iterable[Series]) -> None:
        """Let go of servers that are shown no more."""
        forget_series(gone, {"server": (self._state, self._offset)})

    def looked(self, health: StoreHealth) -> None:
        """Show what a look found; a look without an answer says of all known servers that they gave none."""
        self._ready.set(health.ready)
        silent = tuple(StoreServer(name, StoreState.UNREACHABLE) for name in self._known)
        found = health.servers if health.servers or health.ready else silent
        for server in found:
            self._show(server)
        named = frozenset(server.name for server in found)
        for name in self._known - named:  # it belongs to the list no more: its state is none, and its clock no trouble
            self._set_state(name, None)
            self._offset.labels(name).set(0)
        self._known = named
        self._show_fence(max((server.since_ms or 0 for server in found), default=0))

    def sweep_failed(self) -> None:
        """Count a sweep that failed."""
        self._unswept.inc()

    def _show(self, server: StoreServer) -> None:
        self._set_state(server.name, server.state)
        if server.ahead_ms is not None:
            self._offset.labels(server.name).set(server.ahead_ms / 1000)

    def _set_state(self, name: str, state: StoreState | None) -> None:
        for each in StoreState:
            self._state.labels(name, each).set(each is state)

    def _show_fence(self, since_ms: int) -> None:
        if since_ms <= self._since_ms:  # a server that is out of reach takes its fence along, and has not moved it
            return
        if self._since_ms:
            self._moves.inc()
        self._since_ms = since_ms
        self._fence.set(since_ms / 1000)
