"""What is a token?  Its claims once they are verified, and the names under which it is remembered."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.framing import framed
from ott_extauthz.model.mandate import Constraints, RequestBinding


class TokenKind(StrEnum):
    """``typ`` of a token's JOSE header (RFC 8725 §3.11): explicit types keep kinds of tokens apart.

    Below them, what stands in the place of a token where a caller proves itself in another way; no header names these.
    """

    ONE_TIME = "ott+jwt"
    ACCESS = "at+jwt"  # RFC 9068: access tokens, and mandates, which are access tokens narrowed by their details
    TRANSACTION = "txntoken+jwt"  # draft-ietf-oauth-transaction-tokens
    API_KEY = "api-key"
    SIGNED_REQUEST = "signed-request"
    CERTIFICATE = "certificate"


TokenFormat = Literal["jwt", "paseto"]
"""How a token is written: as compact JWS, or as PASETO v4.public."""

MAX_TOKEN_BYTES: Final = 8192
"""A compact token longer than this is refused unread; ours are about 650 bytes."""

MAX_LIFETIME_MS: Final = 300_000
"""No token may live longer, whoever signed it: the fence needs a bound, and nothing takes a mandate back."""


@dataclass(frozen=True, slots=True)
class TokenId:
    """Which token it is: the issuer and its ``jti``.  Two issuers may use one ``jti`` without burning each other's."""

    issuer: str
    jti: str = field(repr=False)

    @property
    def digest(self) -> bytes:
        """SHA-256 over the length-framed pair: the used-list's key.  The ``jti`` itself is stored nowhere."""
        return hashlib.sha256(framed(self.issuer, self.jti)).digest()


def account_of(issuer: str, client_id: str, subject: str) -> bytes:
    """Return the name of an account: SHA-256 over its three parts, length-framed.

    A token's key and its account's counters share a hash slot, a fence and a transaction.
    """
    return hashlib.sha256(framed(issuer, client_id, subject)).digest()


def public_token_id(digest: bytes) -> str:
    """Return the name of a token that may be shown: 128 bits of its digest in base64url."""
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The ``cnf`` claim (RFC 7800): every member present must be proven."""

    x5t_s256: Thumbprint | None = None
    jkt: Thumbprint | None = None
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedToken:
    """A token whose signature, type, issuer, audience and times hold.  Only ``authn`` makes one.

    ``mandates`` are the constraints of its ``authorization_details``, all of which hold together; ``restrictions``
    names what narrows it in a way this version does not know.  ``claims`` is the whole of what was signed.
    ``actor`` is who acts for the subject: the ``sub`` of the outermost ``act`` (RFC 8693 §4.1).
    """

    kind: TokenKind = TokenKind.ONE_TIME
    id: TokenId = field(repr=False)
    digest: bytes
    subject: str
    client_id: str
    audience: str
    issued_at_ms: int
    expires_at_ms: int
    not_before_ms: int | None
    confirmation: Confirmation
    scope: frozenset[str]
    txn: str | None
    auth_time_ms: int | None
    actor: str | None = None
    restrictions: tuple[str, ...]
    mandates: tuple[Constraints, ...] = ()
    binding: RequestBinding | None = None
    claims: Mapping[str, object] = field(default_factory=dict, repr=False)

    @property
    def is_for_one_use(self) -> bool:
        """Whether the used-list spends it; what is not may come again until it ends."""
        return self.kind is TokenKind.ONE_TIME

    @property
    def may_come_again(self) -> bool:
        """Whether one use leaves it as good as it was; of a signed request its nonce, or its event, is gone."""
        return self.kind not in (TokenKind.ONE_TIME, TokenKind.SIGNED_REQUEST)

    @property
    def account(self) -> bytes:
        """Who is counted; every use of one token has one account."""
        return account_of(self.id.issuer, self.client_id, self.subject)

    @property
    def public_id(self) -> str:
        """The token's showable name, given to the upstream as ``x-ott-token-id``."""
        return public_token_id(self.digest)
