"""Around the issuer: a clock that stands where it is set, and an observer that remembers."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from ott_extauthz.issuer.attempt import Mechanism
from ott_extauthz.issuer.authentication import ClientAuthentication
from ott_extauthz.issuer.clients import Clients
from ott_extauthz.issuer.failures import FailureLimits
from ott_extauthz.issuer.key_change import KeyChange
from ott_extauthz.issuer.minter import Minter
from ott_extauthz.issuer.mutual_tls import MutualTls
from ott_extauthz.issuer.oauth_error import OAuthErrorCode
from ott_extauthz.issuer.order import MintOrder
from ott_extauthz.ports import Signer
from ott_extauthz.stores.keyring import FileRing, Place, Rotation


@dataclass(frozen=True)
class OneKey:
    """A ring that never turns."""

    signer: Signer
    jwks: bytes = b'{"keys":[]}'

    async def run(self) -> None: ...


def minted(minter: Minter, order: MintOrder) -> str:
    return asyncio.run(minter.mint([order]))[0]


class SetClock:
    def __init__(self, now_ms: int = 1_795_000_000_123) -> None:
        self.at_ms = now_ms

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic(self) -> float:
        return self.at_ms / 1000


def by_certificate(clients: Clients) -> ClientAuthentication:
    """Authenticates by certificates alone, and lets nobody wait."""
    return ClientAuthentication(
        clients=clients,
        proofs={Mechanism.CERTIFICATE: MutualTls({})},
        limits=FailureLimits(most=1_000_000, window_ms=1000),
        observer=Remembering(),
    )


class Remembering:
    """Remembers what an issuer told it."""

    def __init__(self) -> None:
        self.tokens: list[tuple[str, str]] = []
        self.refusals: list[tuple[str | None, OAuthErrorCode]] = []
        self.faults: list[str] = []
        self.key_changes: list[KeyChange] = []
        self.ring_failures: list[tuple[str, str]] = []
        self.failures: list[tuple[str | None, bool]] = []

    def issued(self, client: str, audience: str, count: int = 1, *, trace_id: str | None = None) -> None:
        self.tokens += [(client, audience)] * count

    def refused(self, client: str | None, error: OAuthErrorCode, *, trace_id: str | None = None) -> None:
        self.refusals.append((client, error))

    def key_changed(self, change: KeyChange) -> None:
        self.key_changes.append(change)

    def ring_failed(self, ring: str, problem: str) -> None:
        self.ring_failures.append((ring, problem))

    def authentication_failed(self, client: str | None, *, is_limited: bool, trace_id: str | None = None) -> None:
        self.failures.append((client, is_limited))

    def faulted(self, error_type: str) -> None:
        self.faults.append(error_type)


def file_ring(directory: Path) -> FileRing:
    """Return a ring in files as the issuer has it."""
    place = Place(directory=directory)
    return FileRing("", place, rotation=Rotation(), clock=SetClock(), listener=Remembering())
