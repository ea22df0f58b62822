"""What does the tour try, and what must come back?  One list, from a call without a token to one with an old one."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from ott_extauthz.demo.calling import Pairs, Reply, request_bytes
from ott_extauthz.demo.stage import Stage

_DEBIT: Final = "/v1/wallets/w-17/debit"
_AMOUNT: Final = b'{"amount": 25}'


_Call = Callable[["Tour"], Awaitable[Reply]]
_Seen = Callable[["Tour", Reply], str | None]


def _nothing_to_see(_tour: "Tour", _reply: Reply) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Step:
    """One call: in words what is sent, the answer expected, and why it is right.

    ``reason`` is None where Envoy lets the call through; ``seen`` then says what is wrong with what reached the
    upstream, or returns None.
    """

    sent: str
    why: str
    status: int
    reason: str | None
    call: _Call
    seen: _Seen = _nothing_to_see

    def complaint(self, tour: "Tour", reply: Reply) -> str | None:
        """Say how ``reply`` differs from what was expected; None if it does not."""
        if (reply.status, reply.reason) != (self.status, self.reason):
            return f"expected {self.status} {self.reason or ''}".rstrip()
        return self.seen(tour, reply)


class Tour:
    """The calls of the tour, and the token that is handed from one step to the next."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.token = ""

    async def mint(self, audience: str = "wallet.api", scope: str = "wallet:debit") -> str:
        """Get a fresh token and remember it for the next step."""
        self.token = await self.stage.token(audience, scope)
        return self.token

    async def debit(
        self, token: str | None, *extra: tuple[str, str], target: str = _DEBIT, as_thief: bool = False
    ) -> Reply:
        """POST a debit to wallet.api."""
        credential: Pairs = (("x-ott", token),) if token is not None else ()
        headers = (("host", "wallet.api"), *credential, *extra, ("connection", "close"))
        return await self.stage.call(request_bytes("POST", target, headers, _AMOUNT), as_thief=as_thief)

    async def without_token(self) -> Reply:
        """Send the bare request."""
        return await self.debit(None)

    async def with_fresh_token(self) -> Reply:
        """Send a token from the issuer."""
        return await self.debit(await self.mint())

    async def with_same_token(self) -> Reply:
        """Send the last token once more."""
        return await self.debit(self.token)

    async def stolen(self) -> Reply:
        """Send somebody else's token over the thief's own connection."""
        return await self.debit(await self.mint(), as_thief=True)

    async def stolen_with_forged_xfcc(self) -> Reply:
        """Send it with a header that claims the owner's certificate."""
        return await self.debit(await self.mint(), ("x-forwarded-client-cert", self.forged_xfcc), as_thief=True)

    @property
    def forged_xfcc(self) -> str:
        """An XFCC header nobody but Envoy may write."""
        return f"Hash={'0' * 64};URI=spiffe://bank.demo/rgs"

    async def for_other_audience(self) -> Reply:
        """Send a token for the ledger to the wallet."""
        return await self.debit(await self.mint("ledger.api", "ledger:write"))

    async def without_scope(self) -> Reply:
        """Send a token that may only read."""
        return await self.debit(await self.mint(scope="wallet:read"))

    async def spoofed(self) -> Reply:
        """Send a good token together with identity headers of the caller's own making."""
        extra = (("x-ott-subject", "admin"), ("X-OTT-Role", "root"), ("x-forwarded-client-cert", self.forged_xfcc))
        return await self.debit(await self.mint(), *extra)

    async def ambiguous_path(self) -> Reply:
        """Send a path that Envoy forwards and some servers read as ``..``."""
        return await self.debit(await self.mint(), target="/v1/wallets/%2e%2e;/debit")

    async def to_unknown_route(self) -> Reply:
        """Ask for something that no route of the policy matches."""
        return await self.debit(await self.mint(), target="/v1/admin")

    async def public(self) -> Reply:
        """Call the public route with a made-up identity."""
        headers = (("host", "wallet.api"), ("x-ott-subject", "admin"), ("connection", "close"))
        return await self.stage.call(request_bytes("GET", "/healthz", headers))

    async def expired(self) -> Reply:
        """Send a token whose second is over."""
        return await self.debit(self.stage.short_lived.token)


def _upstream_header(reply: Reply, name: str) -> list[str]:
    values: list[str] = reply.json["headers"].get(name, [])
    return values


def _identity_only(tour: Tour, reply: Reply) -> str | None:
    """The upstream must see who calls, and must not see the token."""
    who = [_upstream_header(reply, name) for name in ("x-ott-subject", "x-ott-client")]
    if who != [["spiffe://bank.demo/rgs"], ["rgs"]]:
        return "the upstream did not learn who calls"
    return "the token reached the upstream" if tour.token in reply.body.decode() else None


def _nothing_spoofed(tour: Tour, reply: Reply) -> str | None:
    """Of what the caller made up nothing may arrive."""
    if _upstream_header(reply, "x-ott-role") or tour.forged_xfcc in reply.body.decode():
        return "a header made up by the caller reached the upstream"
    return _identity_only(tour, reply)


def _no_identity(_tour: Tour, reply: Reply) -> str | None:
    return "a made-up identity reached the upstream" if _upstream_header(reply, "x-ott-subject") else None


def _passes(sent: str, why: str, call: _Call, seen: _Seen) -> Step:
    return Step(sent, why, 200, None, call, seen)


STEPS: Final = (
    Step("a debit without a token", "a certificate alone is not enough here",
         401, "credential_missing", Tour.without_token),
    _passes("a token from the issuer", "first use; the upstream learns who calls, the token stays behind",
            Tour.with_fresh_token, _identity_only),
    Step("the same token again", "a token works exactly once",
         401, "token_replayed", Tour.with_same_token),
    Step("a stolen token, another certificate", "it is bound to its owner's certificate",
         401, "certificate_mismatch", Tour.stolen),
    _passes("the same token, its owner's certificate", "the thief's attempt did not cost it",
            Tour.with_same_token, _identity_only),
    Step("a stolen token, forged XFCC header", "Envoy writes that header itself; the connection counts",
         401, "certificate_mismatch", Tour.stolen_with_forged_xfcc),
    Step("a token for another service", "it was minted for ledger.api, this is wallet.api",
         401, "token_audience_mismatch", Tour.for_other_audience),
    Step("a token that may only read", "a debit needs the scope wallet:debit",
         403, "scope_missing", Tour.without_scope),
    _passes("a good token, x-ott-subject: admin", "made-up identity headers are replaced or removed",
            Tour.spoofed, _nothing_spoofed),
    Step("path /v1/wallets/%2e%2e;/debit", "servers read it differently, so nobody gets to guess",
         400, "path_ambiguous", Tour.ambiguous_path),
    Step("a path the policy does not know", "what no route matches is refused",
         403, "route_unknown", Tour.to_unknown_route),
    _passes("GET /healthz, x-ott-subject: admin", "public, and made-up identities are removed here too",
            Tour.public, _no_identity),
    Step("a token that lived one second", "too late; the issuer's tokens live 30 seconds",
         401, "token_expired", Tour.expired),
)  # fmt: skip
