"""Encrypted tokens at the Check: opened, judged and spent as what they hold."""

from joserfc.jwk import OKPKey

from ott_extauthz.authn.sealed import plain_from
from ott_extauthz.issuer.sealing import EncryptionKey, Sealer
from ott_extauthz.model.decision import Allow, Deny
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import TokenState
from tests.fakes.desk import POLICY, Desk
from tests.fakes.issuer import AUDIENCE

KEY = OKPKey.generate_key("X25519")
SEALER = Sealer({AUDIENCE: EncryptionKey("k1", KEY)})
SECRETIVE = POLICY.replace('    scopes: ["wallet:debit"]\n', '    scopes: ["wallet:debit"]\n    encrypted: true\n')


def desk_of(policy: str = POLICY) -> Desk:
    return Desk(policy=policy, unseal=lambda text, is_demanded: plain_from(text, {"k1": KEY}, is_demanded=is_demanded))


async def reason_of(desk: Desk, token: str) -> Reason | None:
    decision = await desk.ask(desk.facts(("x-ott", token)))
    return decision.reason if isinstance(decision, Deny) else None


async def test_a_sealed_token_and_its_plain_text_are_one_token() -> None:
    for order in ((0, 1), (1, 0), (0, 2), (2, 0)):
        desk = desk_of()
        plain = desk.token()
        copies = (plain, SEALER.seal(AUDIENCE, plain), SEALER.seal(AUDIENCE, plain))
        assert isinstance(await desk.ask(desk.facts(("x-ott", copies[order[0]]))), Allow)
        assert await reason_of(desk, copies[order[1]]) is Reason.TOKEN_REPLAYED


async def test_a_route_that_demands_encryption_refuses_a_plain_token_and_leaves_it_unspent() -> None:
    desk = desk_of(SECRETIVE)
    plain = desk.token()
    refused = await desk.ask(desk.facts(("x-ott", plain)))
    assert isinstance(refused, Deny)
    assert (refused.reason, refused.token_state) == (Reason.TOKEN_NOT_ENCRYPTED, TokenState.UNSPENT)
    assert isinstance(await desk.ask(desk.facts(("x-ott", SEALER.seal(AUDIENCE, plain)))), Allow)


async def test_a_server_without_keys_says_that_it_has_none() -> None:
    desk = Desk()
    assert await reason_of(desk, SEALER.seal(AUDIENCE, desk.token())) is Reason.TOKEN_ENCRYPTION_KEY_UNKNOWN


async def test_the_header_with_the_sealed_token_is_removed() -> None:
    desk = desk_of()
    decision = await desk.ask(desk.facts(("x-ott", SEALER.seal(AUDIENCE, desk.token()))))
    assert isinstance(decision, Allow)
    assert "x-ott" in decision.headers_to_remove
