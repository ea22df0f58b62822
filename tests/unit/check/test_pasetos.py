"""PASETOs at the Check: spent once like any one-time token, whatever form it comes in."""

from typing import Any

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.one_time_token import OneTimeTokenVerifier
from ott_extauthz.authn.paseto_token import EitherFormat, PasetoOneTimeVerifier
from ott_extauthz.check.credentials.tokens import TokenCredential
from ott_extauthz.model.decision import Allow, Deny
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import TokenState
from ott_extauthz.policy.routes import CredentialKind
from tests.fakes.desk import Desk
from tests.fakes.issuer import ISSUER
from tests.fakes.pasetos import PasetoIssuer

PASETOS = PasetoIssuer(kid="p1", seed=b"\7" * 32)


def desk_of() -> Desk:
    """A desk that trusts one issuer for both formats, by a key for each."""
    desk = Desk()
    bounds = {"iat_lead_ms": 500, "exp_leeway_ms": 2000}
    jws = OneTimeTokenVerifier(trust={ISSUER: desk.issuer.trusted()}, **bounds)
    paseto = PasetoOneTimeVerifier(trust={ISSUER: PASETOS.trusted()}, **bounds)
    credential = TokenCredential(verify=EitherFormat(jws.verify, paseto.verify))
    return Desk(more={CredentialKind.ONE_TIME_TOKEN: credential})


def paseto(desk: Desk, **changes: Any) -> str:
    now_ms = desk.clock.now_ms()
    return PASETOS.token(PASETOS.claims(now_ms, **({"auth_time": now_ms / 1000 - 60} | changes)))


async def test_a_paseto_passes_once() -> None:
    desk = desk_of()
    token = paseto(desk)
    first = await desk.ask(desk.facts(("x-ott", token)))
    assert isinstance(first, Allow)
    assert "x-ott" in first.headers_to_remove
    again = await desk.ask(desk.facts(("x-ott", token)))
    assert isinstance(again, Deny)
    assert (again.reason, again.token_state) == (Reason.TOKEN_REPLAYED, TokenState.SPENT)


async def test_one_token_in_two_formats_is_one_token() -> None:
    desk = desk_of()
    jti = encoded(b"j" * 16)
    assert isinstance(await desk.ask(desk.facts(("x-ott", desk.token(jti=jti)))), Allow)
    again = await desk.ask(desk.facts(("x-ott", paseto(desk, jti=jti))))
    assert isinstance(again, Deny)
    assert again.reason is Reason.TOKEN_REPLAYED


async def test_a_stolen_paseto_is_worth_nothing_with_another_certificate_and_stays_unspent() -> None:
    desk = desk_of()
    token = paseto(desk)
    refused = await desk.ask(desk.facts(("x-ott", token), certificate=Thumbprint(b"\xff" * 32)))
    assert isinstance(refused, Deny)
    assert (refused.reason, refused.token_state) == (Reason.CERTIFICATE_MISMATCH, TokenState.UNSPENT)
    assert isinstance(await desk.ask(desk.facts(("x-ott", token))), Allow)


async def test_the_key_of_one_format_signs_nothing_in_the_other() -> None:
    desk = desk_of()
    swapped = PasetoIssuer()  # the JWS key, under its kid
    found = await desk.ask(desk.facts(("x-ott", swapped.token(swapped.claims(desk.clock.now_ms())))))
    assert isinstance(found, Deny)
    assert found.reason is Reason.TOKEN_KEY_UNKNOWN
    found = await desk.ask(desk.facts(("x-ott", PASETOS.claimed.token(PASETOS.claimed.claims(desk.clock.now_ms())))))
    assert isinstance(found, Deny)
    assert found.reason is Reason.TOKEN_KEY_UNKNOWN
