"""What does the issuer write down?  Every token before it is handed out, and every refusal."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from ott_extauthz.issuer.client import Method
from ott_extauthz.issuer.minter import NewToken
from ott_extauthz.issuer.oauth_error import OAuthError
from ott_extauthz.issuer.order import MintOrder


class Door(StrEnum):
    """Where a request came in."""

    TOKEN = "token"
    INTROSPECT = "introspect"
    GRPC = "grpc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Minting:
    """Tokens of one order that were just made, and how their client proved to be who it is.

    ``trace_id`` names the trace that the request belongs to; it is a client's word, and proves nothing.
    """

    at_ms: int
    door: Door
    method: Method
    grant_type: str
    order: MintOrder
    tokens: Sequence[NewToken] = field(repr=False)
    trace_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A request that got nothing; ``error.client_id`` is None until the client is authenticated."""

    at_ms: int
    door: Door
    error: OAuthError
    trace_id: str | None = None


class IssuerTrail(Protocol):
    """Writes down what the issuer does."""

    def minted(self, minting: Minting) -> None:
        """Write down tokens, before anybody has them.

        Raises:
            AuditError: they could not be written down, and had to be: nobody may have them.
        """
        ...

    def refused(self, refusal: Refusal) -> None:
        """Write down a refusal; it stays one whether or not it is written."""
        ...


class NoTrail:
    """Writes nothing down; for issuers configured without ``audit``."""

    def minted(self, minting: Minting) -> None:
        """Do nothing with ``minting``."""

    def refused(self, refusal: Refusal) -> None:
        """Do nothing with ``refusal``."""
