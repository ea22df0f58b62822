"""Is this a token of ours that holds now?  The keys are those that the rings publish at that moment."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from ott_extauthz.issuer.minter import Minter
from ott_extauthz.issuer.order import DEFAULT_RING, MintOrder
from ott_extauthz.issuer.own_tokens import OwnTokens
from ott_extauthz.model.token import TokenKind
from ott_extauthz.ports import Signer
from tests.fakes.issuer import FakeIssuer
from tests.fakes.issuing import SetClock, minted

URL = "https://issuer.bank.example"
CLOCK = SetClock()


class Signing:
    """Signs with the key of a fake issuer."""

    algorithm = "EdDSA"

    def __init__(self, issuer: FakeIssuer) -> None:
        self.kid, self._issuer = issuer.kid, issuer

    async def sign(self, messages: Sequence[bytes]) -> list[bytes]:
        return [self._issuer._key.sign(message).signature for message in messages]


@dataclass
class Turning:
    """A ring whose published keys the test changes."""

    signer: Signer
    jwks: bytes

    async def run(self) -> None: ...


OLD, NEW = FakeIssuer(URL, "old", b"\1" * 32), FakeIssuer(URL, "new", b"\2" * 32)


def token(ring: Turning, kind: TokenKind = TokenKind.ACCESS) -> str:
    minter = Minter(issuer=URL, rings={DEFAULT_RING: ring}, clock=CLOCK, entropy=secrets.token_bytes)
    order = MintOrder(kind=kind, subject="s", client_id="c", audience="a", scope=frozenset(), lifetime_ms=60_000)
    return minted(minter, order)


@pytest.mark.parametrize("kind", list(TokenKind))
def test_a_token_of_each_kind_is_found_while_its_key_is_published_and_never_after(kind: TokenKind) -> None:
    ring = Turning(Signing(OLD), OLD.jwks())
    text, tokens = token(ring, kind), OwnTokens(issuer=URL, rings={DEFAULT_RING: ring}, iat_lead_ms=0)
    found = tokens.find(text, now_ms=CLOCK.at_ms)
    assert found is not None
    assert found.kind is kind
    ring.jwks = NEW.jwks()
    assert tokens.find(text, now_ms=CLOCK.at_ms) is None


def test_each_ring_is_asked() -> None:
    one, other = Turning(Signing(OLD), OLD.jwks()), Turning(Signing(NEW), NEW.jwks())
    tokens = OwnTokens(issuer=URL, rings={"": one, "brand": other}, iat_lead_ms=0)
    assert tokens.find(token(one), now_ms=CLOCK.at_ms) is not None
    assert tokens.find(token(other), now_ms=CLOCK.at_ms) is not None


def test_a_token_from_the_future_holds_as_far_as_the_clocks_of_issuers_may_differ() -> None:
    ring = Turning(Signing(OLD), OLD.jwks())
    tokens = OwnTokens(issuer=URL, rings={DEFAULT_RING: ring}, iat_lead_ms=500)
    assert tokens.find(token(ring), now_ms=CLOCK.at_ms - 500) is not None
    assert tokens.find(token(ring), now_ms=CLOCK.at_ms - 501) is None
