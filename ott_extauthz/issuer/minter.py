"""How is a one-time token made?  An order in, a compact JWS out (design section 5, RFC 7515 §3.1, RFC 7519).

- The minter decides nothing about who may have what: an order was judged before it came here.
- It signs no order that the Check server would refuse on sight: every bound of ``authn.claims`` is held here too.
- One minter signs with one key; after a rotation there is a new minter.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.claims import MAX_TEXT
from ott_extauthz.authn.fault import ClaimsError
from ott_extauthz.authn.mandates import narrowing_from
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.token import MAX_LIFETIME_MS, TOKEN_TYPE
from ott_extauthz.ports import Clock, Entropy, Signer

MIN_LIFETIME_MS: Final = 1000
"""Less than a second cannot be told from clock skew."""

MINTED_NARROWING: Final = ("authorization_details", "htm", "htp", "digest")
"""Claims that an order may narrow its token by."""

_ID_BYTES: Final = 16  # 128 bits: nobody guesses a jti, and no two tokens ever share one
_SHA256_BYTES: Final = 32
_PRINTABLE: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_SCOPE_TOKEN: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 §3.3


class OrderError(ValueError):
    """An order for a token that must not exist; the message names the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MintOrder:
    """What shall stand in a token.  Cannot be built out of bounds.

    Without ``thumbprint`` the token is bound to its ``subject`` at most; the token endpoint always gives one.
    ``narrowing`` are its claims among ``authn.mandates.NARROWING``, as they shall stand in it.
    """

    subject: str
    client_id: str
    audience: str
    scope: frozenset[str]
    lifetime_ms: int
    thumbprint: Thumbprint | None = field(default=None, repr=False)
    txn: str | None = None
    auth_time_ms: int | None = None
    acr: str | None = None
    amr: tuple[str, ...] = ()
    sid: str | None = field(default=None, repr=False)
    narrowing: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not MIN_LIFETIME_MS <= self.lifetime_ms <= MAX_LIFETIME_MS:
            raise OrderError(f"lifetime: between {MIN_LIFETIME_MS} and {MAX_LIFETIME_MS} ms")
        for name in ("subject", "client_id", "audience"):
            _check_text(name, getattr(self, name))
        for name in ("txn", "acr", "sid"):
            if getattr(self, name) is not None:
                _check_text(name, getattr(self, name))
        if self.thumbprint is not None and len(self.thumbprint) != _SHA256_BYTES:
            raise OrderError("thumbprint: not a SHA-256")
        if not all(map(_SCOPE_TOKEN.fullmatch, self.scope)):
            raise OrderError("scope: a scope is visible ASCII without space, quote and backslash")


def _check_text(name: str, value: str) -> None:
    if len(value) > MAX_TEXT or not _PRINTABLE.fullmatch(value):
        raise OrderError(f"{name}: 1 to {MAX_TEXT} characters, none of them a control")


def _check_narrowing(narrowing: Mapping[str, Any], now_ms: int) -> None:
    unknown = narrowing.keys() - set(MINTED_NARROWING)
    if unknown:
        raise OrderError(f"{min(unknown)}: no claim that narrows a token")
    try:
        found = narrowing_from(narrowing, now_ms)
    except ClaimsError as error:
        raise OrderError(f"{error}: malformed") from None
    if found.restrictions:
        raise OrderError(f"{found.restrictions[0]}: the Check server does not know it and would refuse the token")


class _Confirmation(msgspec.Struct, frozen=True, gc=False):
    x5t_s256: str = msgspec.field(name="x5t#S256")


class _Claims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    iss: str
    sub: str
    client_id: str
    aud: str
    jti: str
    iat: float
    exp: float
    txn: str
    cnf: _Confirmation | None = None
    scope: str | None = None
    auth_time: float | None = None
    acr: str | None = None
    amr: tuple[str, ...] | None = None
    sid: str | None = None
    authorization_details: Any = None
    htm: str | None = None
    htp: str | None = None
    digest: str | None = None


class Minter:
    """Mints one-time tokens of one issuer with one key."""

    def __init__(self, *, issuer: str, signer: Signer, clock: Clock, entropy: Entropy) -> None:
        self._issuer = issuer
        self._sign = signer.sign
        self._clock = clock
        self._entropy = entropy
        self._encode = msgspec.json.Encoder().encode
        header = {"alg": signer.algorithm, "kid": signer.kid, "typ": TOKEN_TYPE}
        self._header = encoded(msgspec.json.encode(header)) + "."

    def mint(self, order: MintOrder) -> str:
        """Return a new token; it has never existed before and is remembered nowhere.

        Raises:
            OrderError: what narrows it is malformed, or no Check server of this version knows it.
        """
        now_ms = self._clock.now_ms()
        _check_narrowing(order.narrowing, now_ms)
        claims = self._encode(self._claims(order, now_ms))
        signing_input = self._header + encoded(claims)
        return f"{signing_input}.{encoded(self._sign(signing_input.encode('ascii')))}"

    def _claims(self, order: MintOrder, now_ms: int) -> _Claims:
        # Milliseconds are kept: the used-list's fence compares iat, and a whole second would widen its refusal window.
        return _Claims(
            iss=self._issuer,
            sub=order.subject,
            client_id=order.client_id,
            aud=order.audience,
            jti=self._random_id(),
            iat=now_ms / 1000,
            exp=(now_ms + order.lifetime_ms) / 1000,
            txn=order.txn if order.txn is not None else self._random_id(),
            cnf=None if order.thumbprint is None else _Confirmation(encoded(order.thumbprint)),
            scope=" ".join(sorted(order.scope)) or None,
            auth_time=None if order.auth_time_ms is None else order.auth_time_ms / 1000,
            acr=order.acr,
            amr=order.amr or None,
            sid=order.sid,
            **order.narrowing,
        )

    def _random_id(self) -> str:
        raw = self._entropy(_ID_BYTES)
        if len(raw) != _ID_BYTES:
            raise RuntimeError("entropy gave fewer bytes than asked for; a guessable jti must not be signed")
        return encoded(raw)
