"""Which steps of a request to the issuer are timed?  Whatever stands behind a port, wrapped, and told as it was.

Only an issuer that traces is put together with these: elsewhere there is nothing between its steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ott_extauthz.issuer.authentication import Authenticator
from ott_extauthz.issuer.client import Method
from ott_extauthz.issuer.grants import Grant
from ott_extauthz.issuer.oauth_error import OAuthError
from ott_extauthz.issuer.order import MintOrder
from ott_extauthz.issuer.possession import Bound, Possession
from ott_extauthz.issuer.request import Requester, TokenRequest
from ott_extauthz.issuer.trail import IssuerTrail, Minting, Refusal
from ott_extauthz.observe.issuer_tracing import RequestSpans
from ott_extauthz.ports import KeyRing, Signer, SigningError, Spend, StoreHealth, Use, UsedList, UsedListError

UNSIGNED = "unsigned"


@dataclass(frozen=True, slots=True)
class TimedAuthenticator:
    """Tells how long it took to know the client."""

    authenticator: Authenticator
    spans: RequestSpans

    @property
    def methods(self) -> Sequence[Method]:
        """The methods that are on."""
        return self.authenticator.methods

    async def authenticate(self, request: TokenRequest) -> Requester | OAuthError:
        """Pass the question on."""
        with self.spans.part("authenticate"):
            return await self.authenticator.authenticate(request)


@dataclass(frozen=True, slots=True)
class TimedPossession:
    """Tells how long a proof of possession took."""

    possession: Possession
    spans: RequestSpans

    async def bind(self, request: TokenRequest, requester: Requester) -> Bound | OAuthError:
        """Pass the question on."""
        with self.spans.part("bind"):
            return await self.possession.bind(request, requester)


@dataclass(frozen=True, slots=True)
class TimedGrant:
    """Tells how long it took to judge what is asked for."""

    grant: Grant
    spans: RequestSpans

    async def judge(self, request: TokenRequest, requester: Requester) -> MintOrder | OAuthError:
        """Pass the question on."""
        with self.spans.part("grant"):
            return await self.grant.judge(request, requester)


@dataclass(frozen=True, slots=True)
class TimedUsedList:
    """Tells of every question to a used-list; ``kind`` names what it is."""

    used_list: UsedList
    kind: str
    spans: RequestSpans

    async def start(self) -> None:
        """Pass it on."""
        await self.used_list.start()

    async def mark_used(self, use: Use, *, timeout: float) -> Spend:  # noqa: ASYNC109 - handed on
        """Pass the question on."""
        with self.spans.part("spend", self.kind) as part:
            try:
                return await self.used_list.mark_used(use, timeout=timeout)
            except UsedListError as error:
                if part is not None:
                    part.fault = error.fault
                raise

    async def health(self) -> StoreHealth:
        """Pass the question on; it belongs to no request."""
        return await self.used_list.health()

    async def close(self) -> None:
        """Pass it on."""
        await self.used_list.close()


@dataclass(frozen=True, slots=True)
class TimedSigner:
    """Tells how long a batch of signatures took; ``whom`` holds the key, None where it is here."""

    signer: Signer
    whom: str | None
    spans: RequestSpans

    @property
    def kid(self) -> str:
        """The key's id."""
        return self.signer.kid

    @property
    def algorithm(self) -> str:
        """The JOSE algorithm name."""
        return self.signer.algorithm

    async def sign(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        """Pass the batch on."""
        with self.spans.part("sign", self.whom) as part:
            try:
                return await self.signer.sign(messages)
            except SigningError:
                if part is not None:
                    part.fault = UNSIGNED
                raise


@dataclass(frozen=True, slots=True)
class TimedRing:
    """A ring whose signers are timed."""

    ring: KeyRing
    whom: str | None
    spans: RequestSpans

    @property
    def signer(self) -> Signer:
        """The signer of the active key."""
        return TimedSigner(self.ring.signer, self.whom, self.spans)

    @property
    def jwks(self) -> bytes:
        """The JWK Set to publish."""
        return self.ring.jwks

    async def run(self) -> None:
        """Do the ring's own work."""
        await self.ring.run()


@dataclass(frozen=True, slots=True)
class TimedTrail:
    """Tells what a request came to, and how long it took to write it down."""

    trail: IssuerTrail
    spans: RequestSpans

    def minted(self, minting: Minting) -> None:
        """Have it written down, then take note."""
        with self.spans.part("audit"):
            self.trail.minted(minting)
        self.spans.minted(minting)

    def refused(self, refusal: Refusal) -> None:
        """Have it written down, and take note."""
        with self.spans.part("audit"):
            self.trail.refused(refusal)
        self.spans.refused(refusal)
