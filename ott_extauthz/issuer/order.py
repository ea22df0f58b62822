"""What shall stand in a token?  An order: judged before, within bounds whoever wrote it.

Every bound of ``authn.claims`` is held here too: nothing is signed that the Check server would refuse on sight.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ott_extauthz.authn.claims import MAX_TEXT
from ott_extauthz.authn.fault import ClaimsError
from ott_extauthz.authn.mandates import narrowing_from
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.token import MAX_LIFETIME_MS, TokenFormat, TokenKind

MIN_LIFETIME_MS: Final = 1000
"""Less than a second cannot be told from clock skew."""

MINTED_NARROWING: Final = ("authorization_details", "htm", "htp", "digest")
"""Claims that an order may narrow its token by."""

DEFAULT_RING: Final = ""
"""The ring that `issuer.keys` names."""

DEFAULT_RING_TITLE: Final = "default"
"""What people, metrics and URLs call it; no other ring may have this name."""

_SHA256_BYTES: Final = 32
_PRINTABLE: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_SCOPE_TOKEN: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 §3.3


class OrderError(ValueError):
    """An order for a token that must not exist; the message names the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MintOrder:
    """What shall stand in a token.  Cannot be built out of bounds.

    Without ``thumbprint`` and ``jkt`` the token is bound to its ``subject`` at most.  ``not_after_ms`` is an instant
    that it does not outlive, whenever it is made.  ``narrowing`` are its claims among ``authn.mandates.NARROWING``, as
    they shall stand in it; ``act`` and ``may_act`` (RFC 8693 §4.1, §4.4) too.  ``context`` are further claims of a
    transaction token.  ``ring`` names the keys, ``format`` how the token is written.
    """

    kind: TokenKind = TokenKind.ONE_TIME
    subject: str
    client_id: str
    audience: str
    scope: frozenset[str]
    lifetime_ms: int
    not_after_ms: int | None = None
    thumbprint: Thumbprint | None = field(default=None, repr=False)
    jkt: Thumbprint | None = field(default=None, repr=False)
    txn: str | None = None
    auth_time_ms: int | None = None
    acr: str | None = None
    amr: tuple[str, ...] = ()
    sid: str | None = field(default=None, repr=False)
    act: Mapping[str, Any] | None = None
    may_act: Mapping[str, Any] | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    narrowing: Mapping[str, Any] = field(default_factory=dict)
    ring: str = DEFAULT_RING
    format: TokenFormat = "jwt"

    def __post_init__(self) -> None:
        if not MIN_LIFETIME_MS <= self.lifetime_ms <= MAX_LIFETIME_MS:
            raise OrderError(f"lifetime: between {MIN_LIFETIME_MS} and {MAX_LIFETIME_MS} ms")
        if self.format == "paseto" and self.kind is not TokenKind.ONE_TIME:
            raise OrderError("format: only a one-time token is minted as PASETO")
        for name in ("subject", "client_id", "audience"):
            _check_text(name, getattr(self, name))
        for name in ("txn", "acr", "sid"):
            if getattr(self, name) is not None:
                _check_text(name, getattr(self, name))
        for name in ("thumbprint", "jkt"):
            digest = getattr(self, name)
            if digest is not None and len(digest) != _SHA256_BYTES:
                raise OrderError(f"{name}: not a SHA-256")
        if not all(map(_SCOPE_TOKEN.fullmatch, self.scope)):
            raise OrderError("scope: a scope is visible ASCII without space, quote and backslash")
        if self.context and self.kind is not TokenKind.TRANSACTION:
            raise OrderError("context: only a transaction token has one")


def ring_title(ring: str) -> str:
    """Return what a ring is called outside."""
    return ring or DEFAULT_RING_TITLE


def check_narrowing(narrowing: Mapping[str, Any], now_ms: int) -> None:
    """Refuse what no Check server would read, at the instant the token is made.

    Raises:
        OrderError: naming the claim.
    """
    if not narrowing:
        return
    unknown = narrowing.keys() - set(MINTED_NARROWING)
    if unknown:
        raise OrderError(f"{min(unknown)}: no claim that narrows a token")
    try:
        found = narrowing_from(narrowing, now_ms)
    except ClaimsError as error:
        raise OrderError(f"{error}: malformed") from None
    if found.restrictions:
        raise OrderError(f"{found.restrictions[0]}: the Check server does not know it and would refuse the token")


def _check_text(name: str, value: str) -> None:
    if len(value) > MAX_TEXT or not _PRINTABLE.fullmatch(value):
        raise OrderError(f"{name}: 1 to {MAX_TEXT} characters, none of them a control")
