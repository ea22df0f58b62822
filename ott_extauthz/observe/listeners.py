"""Who listens?  Several observers as one; a listener that breaks misses that event and never changes an answer."""

from collections.abc import Callable
from typing import Generic, TypeVar

from ott_extauthz.issuer.key_change import KeyChange
from ott_extauthz.issuer.oauth_error import OAuthErrorCode
from ott_extauthz.issuer.observer import IssuerObserver
from ott_extauthz.ports import CheckObserver, CheckRecord, ShadowRecord, UsedListFault

Listener = TypeVar("Listener")


class _Told(Generic[Listener]):
    """Tells every listener, in order."""

    def __init__(self, *listeners: Listener, on_broken: Callable[[str], None]) -> None:
        self._listeners = listeners
        self._on_broken = on_broken

    def _tell(self, event: Callable[[Listener], None]) -> None:
        for listener in self._listeners:
            try:
                event(listener)
            except Exception as error:  # noqa: BLE001 - a metric must never fail a request; the break itself is counted
                self._on_broken(type(error).__name__)


class Listeners(_Told[CheckObserver]):
    """The Check server's observers as one."""

    def decided(self, record: CheckRecord) -> None:
        """Pass a decision on."""
        self._tell(lambda listener: listener.decided(record))

    def replayed(self, record: CheckRecord) -> None:
        """Pass a second use on."""
        self._tell(lambda listener: listener.replayed(record))

    def shadowed(self, record: ShadowRecord) -> None:
        """Pass a second policy's word on."""
        self._tell(lambda listener: listener.shadowed(record))

    def shadow_skipped(self) -> None:
        """Pass on that a second policy was not asked."""
        self._tell(lambda listener: listener.shadow_skipped())

    def faulted(self, error_type: str) -> None:
        """Pass a fault on."""
        self._tell(lambda listener: listener.faulted(error_type))

    def spend_took(self, seconds: float) -> None:
        """Pass a duration on."""
        self._tell(lambda listener: listener.spend_took(seconds))

    def store_failed(self, fault: UsedListFault) -> None:
        """Pass a store's fault on."""
        self._tell(lambda listener: listener.store_failed(fault))


class IssuerListeners(_Told[IssuerObserver]):
    """The issuer's observers as one."""

    def issued(self, client: str, audience: str, count: int = 1, *, trace_id: str | None = None) -> None:
        """Pass on for whom, and for which audience, tokens were minted."""
        self._tell(lambda listener: listener.issued(client, audience, count, trace_id=trace_id))

    def refused(self, client: str | None, error: OAuthErrorCode, *, trace_id: str | None = None) -> None:
        """Pass a refusal on."""
        self._tell(lambda listener: listener.refused(client, error, trace_id=trace_id))

    def key_changed(self, change: KeyChange) -> None:
        """Pass a key's new state on."""
        self._tell(lambda listener: listener.key_changed(change))

    def ring_failed(self, ring: str, problem: str) -> None:
        """Pass on that a ring could not be followed or turned."""
        self._tell(lambda listener: listener.ring_failed(ring, problem))

    def authentication_failed(self, client: str | None, *, is_limited: bool, trace_id: str | None = None) -> None:
        """Pass a failed authentication on."""
        self._tell(lambda listener: listener.authentication_failed(client, is_limited=is_limited, trace_id=trace_id))

    def faulted(self, error_type: str) -> None:
        """Pass a fault on."""
        self._tell(lambda listener: listener.faulted(error_type))
