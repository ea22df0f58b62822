"""How is a token made?  Orders in, compact JWS or PASETO out (design section 5, RFC 7515 §3.1, RFC 7519).

- The minter decides nothing about who may have what: an order was judged before it came here.
- It asks its rings anew for every batch, so that a rotation needs no new minter; one batch of a ring has one key.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.paseto_times import rfc3339
from ott_extauthz.issuer.order import MintOrder, OrderError, check_narrowing
from ott_extauthz.issuer.unsigned import Unsigned, UnsignedJws, UnsignedPaseto
from ott_extauthz.model.token import MAX_TOKEN_BYTES, TokenId, public_token_id
from ott_extauthz.ports import Clock, Entropy, KeyRing, MintedToken, Signer

_MAX_SIGNING_INPUT: Final = MAX_TOKEN_BYTES - 1024  # the longest signature, RSA of 6144 bits, fits into the rest
Seal = Callable[[str, str], str]
"""Makes of an audience and a signed token what is handed out."""

_ID_BYTES: Final = 16  # 128 bits: nobody guesses a jti, and no two tokens ever share one


class _Confirmation(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    x5t_s256: str | None = msgspec.field(name="x5t#S256", default=None)
    jkt: str | None = None


class _Claims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    iss: str
    sub: str
    client_id: str
    aud: str
    jti: str
    iat: float | str
    exp: float | str
    txn: str
    cnf: _Confirmation | None = None
    scope: str | None = None
    auth_time: float | None = None
    acr: str | None = None
    amr: tuple[str, ...] | None = None
    sid: str | None = None
    act: Any = None
    may_act: Any = None
    authorization_details: Any = None
    htm: str | None = None
    htp: str | None = None
    digest: str | None = None
    req_wl: Any = None
    tctx: Any = None
    rctx: Any = None


@dataclass(frozen=True, slots=True)
class NewToken(MintedToken):
    """A token of ours, which key signed it, and its name; ``id`` holds the ``jti`` and is written down nowhere."""

    kid: str
    id: TokenId = field(repr=False)

    @property
    def public_id(self) -> str:
        """The token's showable name: what the Check server's audit and the upstream know it by."""
        return public_token_id(self.id.digest)


class Minter:
    """Mints tokens of one issuer."""

    def __init__(
        self,
        *,
        issuer: str,
        rings: Mapping[str, KeyRing],
        clock: Clock,
        entropy: Entropy,
        seal: Seal = lambda _, token: token,
    ) -> None:
        self._seal = seal
        self._issuer = issuer
        self._rings = rings
        self._clock = clock
        self._entropy = entropy
        self._encode = msgspec.json.Encoder(decimal_format="number").encode

    async def mint(self, orders: Sequence[MintOrder]) -> list[str]:
        """Return a new token for each order; none has ever existed before, or is remembered anywhere.

        Raises:
            OrderError: one of them is for a token that no Check server of this version would read, or has no life left.
            SigningError: a ring cannot sign; then there is no token at all.
        """
        return [token.text for token in await self.issue(orders)]

    async def issue(self, orders: Sequence[MintOrder]) -> list[NewToken]:
        """Return the same, with what is known of each.

        Raises:
            OrderError: as :meth:`mint`.
            SigningError: as :meth:`mint`.
        """
        return await self._minted(orders, self._clock.now_ms())

    async def batch(self, orders: Sequence[MintOrder]) -> list[NewToken]:
        """Return a new token for each order, all minted at one instant; one order may stand in it many times.

        Raises:
            OrderError: as :meth:`mint`.
            SigningError: as :meth:`mint`.
        """
        return await self._minted(orders, self._clock.now_ms())

    async def _minted(self, orders: Sequence[MintOrder], now_ms: int) -> list[NewToken]:
        for order in {id(order): order for order in orders}.values():  # a batch is one order, many times
            check_narrowing(order.narrowing, now_ms)
        tokens: dict[int, NewToken] = {}
        for ring in {order.ring for order in orders}:
            signer = self._rings[ring].signer
            chosen = [index for index, order in enumerate(orders) if order.ring == ring]
            inputs = [self._signing_input(signer, orders[index], now_ms) for index in chosen]
            signatures = await signer.sign([unsigned.message for unsigned, _ in inputs])
            for index, (unsigned, jti), signature in zip(chosen, inputs, signatures, strict=True):
                order, sealed = orders[index], self._sealed(orders[index], unsigned.signed(signature))
                known = TokenId(self._issuer, jti)
                tokens[index] = NewToken(sealed, now_ms, _end_ms(order, now_ms), signer.kid, known)
        return [tokens[index] for index in range(len(orders))]

    def _sealed(self, order: MintOrder, token: str) -> str:
        sealed = self._seal(order.audience, token)
        if len(sealed) > MAX_TOKEN_BYTES:
            raise OrderError("size: no Check server would read a token that long")
        return sealed

    def _signing_input(self, signer: Signer, order: MintOrder, now_ms: int) -> tuple[Unsigned, str]:
        """Return what is signed, and its ``jti``."""
        claims = self._claims(order, now_ms)
        unsigned = (UnsignedPaseto if order.format == "paseto" else UnsignedJws).of(
            self._encode(claims), signer, order.kind
        )
        if unsigned.length > _MAX_SIGNING_INPUT:
            raise OrderError("size: no Check server would read a token that long")
        return unsigned, claims.jti

    def _claims(self, order: MintOrder, now_ms: int) -> _Claims:
        instant = rfc3339 if order.format == "paseto" else _numeric
        # Milliseconds are kept: the used-list's fence compares iat, and a whole second would widen its refusal window.
        return _Claims(
            iss=self._issuer,
            sub=order.subject,
            client_id=order.client_id,
            aud=order.audience,
            jti=self._random_id(),
            iat=instant(now_ms),
            exp=instant(_end_ms(order, now_ms)),
            txn=order.txn if order.txn is not None else self._random_id(),
            cnf=_confirmation(order),
            scope=" ".join(sorted(order.scope)) or None,
            auth_time=None if order.auth_time_ms is None else order.auth_time_ms / 1000,
            acr=order.acr,
            amr=order.amr or None,
            sid=order.sid,
            act=order.act,
            may_act=order.may_act,
            **order.narrowing,
            **order.context,
        )

    def _random_id(self) -> str:
        raw = self._entropy(_ID_BYTES)
        if len(raw) != _ID_BYTES:
            raise RuntimeError("entropy gave fewer bytes than asked for; a guessable jti must not be signed")
        return encoded(raw)


def _end_ms(order: MintOrder, now_ms: int) -> int:
    end_ms = now_ms + order.lifetime_ms
    if order.not_after_ms is None:
        return end_ms
    if order.not_after_ms <= now_ms:
        raise OrderError("not_after: the token would have expired before it was made")
    return min(end_ms, order.not_after_ms)


def _confirmation(order: MintOrder) -> _Confirmation | None:
    if order.thumbprint is None and order.jkt is None:
        return None
    return _Confirmation(
        None if order.thumbprint is None else encoded(order.thumbprint),
        None if order.jkt is None else encoded(order.jkt),
    )


def _numeric(milliseconds: int) -> float:
    return milliseconds / 1000
