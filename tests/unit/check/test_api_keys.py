"""API keys at the desk: what a stolen, doubled, displaced or ended key gets."""

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from ott_extauthz.authn.api_keys import ApiKey, api_keys_of
from ott_extauthz.check.credentials.api_keys import ApiKeyCredential
from ott_extauthz.model.decision import Allow, Decision, Deny
from ott_extauthz.model.facts import Facts, Thumbprint
from ott_extauthz.model.mandate import Constraints
from ott_extauthz.model.reason import Reason
from ott_extauthz.policy.routes import CredentialKind
from tests.fakes.api_keys import DAY_MS, kept, made
from tests.fakes.desk import CALLER, Desk

POLICY = """
revision: "r1"
routes:
  - name: erp
    match: {hosts: [wallet.api], methods: [POST], path: "/erp"}
    credential: api_key
    clients: [rgs]
    scopes: ["wallet:debit"]
  - name: branded
    match: {hosts: [wallet.api], methods: [POST], path: "/branded"}
    credential: api_key
    brand: {from: {header: x-brand}}
  - name: scheme
    match: {hosts: [wallet.api], methods: [POST], path: "/scheme"}
    credential: api_key
    from: {header: authorization, scheme: ApiKey}
  - name: limited
    match: {hosts: [wallet.api], methods: [POST], path: "/limited"}
    credential: api_key
    constraints: {rate_limit: {count: 2, per: 1h}}
"""
KEY, SECOND = made(1), made(2)


class Erp:
    """A desk with one key, or several, in force."""

    def __init__(self, *keys: ApiKey) -> None:
        self.keys = api_keys_of(keys)
        credential = ApiKeyCredential(keys=lambda: self.keys, warn_before_ms=30 * DAY_MS)
        self.desk = Desk(policy=POLICY, more={CredentialKind.API_KEY: credential})

    async def asked(self, *headers: tuple[str, str], path: str = "/erp", **facts: Any) -> Decision:
        return await self.desk.ask(self.facts(*headers, path=path, **facts))

    def facts(self, *headers: tuple[str, str], path: str = "/erp", address: str = "10.0.0.7", **more: Any) -> Facts:
        facts = self.desk.facts(*(headers or [("x-api-key", KEY.text)]), path=path, **more)
        return replace(facts, peer=replace(facts.peer, address=address))


def reason(decision: Decision) -> Reason:
    assert isinstance(decision, Deny)
    return decision.reason


async def test_a_key_lets_its_client_in_again_and_again_and_goes_no_further() -> None:
    erp = Erp(kept(KEY))
    for _ in range(3):
        found = await erp.asked()
        assert isinstance(found, Allow)
        assert found.spent is not None
        assert (found.spent.token.client_id, found.spent.token.subject) == ("rgs", "rgs")
        assert "x-api-key" in found.headers_to_remove
        assert found.response_headers == ()
        assert KEY.text not in repr(found)


@pytest.mark.parametrize(
    "headers",
    [
        [("x-api-key", KEY.text), ("x-api-key", KEY.text)],
        [("x-api-key", f"{KEY.text},{KEY.text}")],
        [("x-api-key", f"{KEY.text}, {SECOND.text}")],
    ],
)
async def test_two_keys_are_none(headers: list[tuple[str, str]]) -> None:
    assert reason(await Erp(kept(KEY), kept(SECOND)).asked(*headers)) is Reason.CREDENTIAL_DUPLICATED


@pytest.mark.parametrize(
    "headers",
    [
        [("cookie", f"x-api-key={KEY.text}")],
        [("authorization", f"ApiKey {KEY.text}")],
        [("x-ott", KEY.text)],
        [("x_api_key", KEY.text)],
        [("x-api-key", "")],
    ],
)
async def test_a_key_is_read_from_its_header_and_from_nowhere_else(headers: list[tuple[str, str]]) -> None:
    assert reason(await Erp(kept(KEY)).asked(*headers)) is Reason.CREDENTIAL_MISSING


async def test_a_key_in_the_query_is_not_read() -> None:
    found = await Erp(kept(KEY)).asked(("accept", "*/*"), path=f"/erp?api_key={KEY.text}&x-api-key={KEY.text}")
    assert reason(found) is Reason.CREDENTIAL_MISSING


async def test_a_route_with_a_scheme_takes_no_other() -> None:
    erp = Erp(kept(KEY))
    found = await erp.asked(("authorization", f"apikey {KEY.text}"), path="/scheme")
    assert isinstance(found, Allow)
    assert "authorization" in found.headers_to_remove
    refused = await erp.asked(("authorization", f"Bearer {KEY.text}"), path="/scheme")
    assert reason(refused) is Reason.CREDENTIAL_SCHEME_REFUSED
    assert reason(await erp.asked(path="/scheme")) is Reason.CREDENTIAL_MISSING


async def test_wrong_unknown_and_malformed_keys_get_a_challenge_and_nothing_more() -> None:
    erp = Erp(kept(KEY))
    for text, expected in (
        (SECOND.text, Reason.API_KEY_UNKNOWN),
        (KEY.text[:-1], Reason.API_KEY_MALFORMED),
        ("hunter2", Reason.API_KEY_MALFORMED),
    ):
        found = await erp.asked(("x-api-key", text))
        assert isinstance(found, Deny)
        assert found.reason is expected
        assert [str(each) for each in found.challenges] == ['ApiKey realm="erp", error="invalid_token"']
        assert found.token is None


async def test_a_key_of_another_client_or_without_the_scope_is_refused() -> None:
    assert reason(await Erp(kept(KEY, client_id="shop")).asked()) is Reason.CLIENT_DENIED
    assert reason(await Erp(replace(kept(KEY), scopes=frozenset())).asked()) is Reason.SCOPE_MISSING


async def test_a_key_that_ended_while_we_serve_is_refused_at_that_instant() -> None:
    erp = Erp(kept(KEY))
    erp.keys = api_keys_of([kept(KEY, expires_at_ms=erp.desk.clock.now_ms() + 1)])
    assert isinstance(await erp.asked(), Allow)
    erp.desk.clock.advance(1)
    assert reason(await erp.asked()) is Reason.API_KEY_EXPIRED


async def test_a_key_that_was_taken_out_is_refused_at_once() -> None:
    erp = Erp(kept(KEY))
    assert isinstance(await erp.asked(), Allow)
    erp.keys = {}
    assert reason(await erp.asked()) is Reason.API_KEY_UNKNOWN


@pytest.mark.parametrize(
    ("network", "address", "is_let_in"),
    [
        ("10.0.0.0/8", "10.0.0.7", True),
        ("10.0.0.0/8", "::ffff:10.0.0.7", True),
        ("10.0.0.0/8", "192.0.2.1", False),
        ("10.0.0.0/8", "::ffff:192.0.2.1", False),
        ("10.0.0.0/8", "::10.0.0.7", False),
        ("10.0.0.0/8", "", False),
        ("10.0.0.0/8", "10.0.0.7, 192.0.2.1", False),
        ("2001:db8::/32", "2001:db8::1", True),
        ("2001:db8::/32", "2001:db8::1%eth0", False),
    ],
)
async def test_a_key_works_from_its_networks_alone(network: str, address: str, *, is_let_in: bool) -> None:
    limits = Constraints(origin="api_key", cidr=(ip_network(network),))
    found = await Erp(kept(KEY, limits=limits)).asked(
        ("x-api-key", KEY.text), ("x-forwarded-for", "10.0.0.7"), address=address
    )
    if is_let_in:
        assert isinstance(found, Allow)
    else:
        assert reason(found) is Reason.ADDRESS_DENIED


@pytest.mark.parametrize(
    ("path", "headers", "is_let_in"),
    [
        ("/branded", [("x-brand", "A")], True),
        ("/branded", [("x-brand", "B")], False),
        ("/branded", [], False),
        ("/branded", [("x-brand", "A"), ("x-brand", "B")], False),
        ("/limited", [("x-brand", "A")], False),  # the route does not say where a request names its brand
    ],
)
async def test_a_key_of_a_brand_is_for_no_other(path: str, headers: list[tuple[str, str]], *, is_let_in: bool) -> None:
    erp = Erp(kept(KEY, limits=Constraints(origin="api_key", brand=frozenset({"A"}))))
    found = await erp.asked(("x-api-key", KEY.text), *headers, path=path)
    if is_let_in:
        assert isinstance(found, Allow)
    else:
        assert isinstance(found, Deny)
        assert (found.reason, found.detail) == (Reason.BRAND_DENIED, "api_key.brand")


async def test_a_key_bound_to_a_certificate_is_of_no_use_without_it() -> None:
    erp = Erp(kept(KEY, certificate=CALLER))
    assert isinstance(await erp.asked(), Allow)
    assert reason(await erp.asked(certificate=Thumbprint(rb"\x09" * 32))) is Reason.CERTIFICATE_MISMATCH
    assert reason(await erp.asked(certificate=Reason.CERTIFICATE_MISSING)) is Reason.CERTIFICATE_MISSING


async def test_a_second_key_does_not_double_the_rate() -> None:
    erp = Erp(kept(KEY), kept(SECOND))
    texts = [KEY.text, SECOND.text, KEY.text]
    found = [await erp.asked(("x-api-key", text), path="/limited") for text in texts]
    assert isinstance(found[0], Allow)
    assert isinstance(found[1], Allow)
    assert reason(found[2]) is Reason.RATE_LIMITED


@pytest.mark.parametrize(("days", "is_told"), [(31, False), (29, True)])
async def test_the_client_is_told_in_time_that_its_key_ends(days: int, *, is_told: bool) -> None:
    erp = Erp()
    now_ms = erp.desk.clock.now_ms()
    erp.keys = api_keys_of([replace(kept(KEY, expires_at_ms=now_ms + days * DAY_MS), created_at_ms=0)])
    found = await erp.asked()
    assert isinstance(found, Allow)
    expected = (("deprecation", f"@{now_ms // 1000 - DAY_MS // 1000}"), ("sunset", "Thu, 17 Dec 2026 11:06:42 GMT"))
    assert found.response_headers == (expected if is_told else ())


async def test_a_short_life_is_near_its_end_from_its_beginning() -> None:
    erp = Erp()
    now_ms = erp.desk.clock.now_ms()
    erp.keys = api_keys_of([replace(kept(KEY, expires_at_ms=now_ms + DAY_MS), created_at_ms=now_ms - 5000)])
    found = await erp.asked()
    assert isinstance(found, Allow)
    assert dict(found.response_headers)["deprecation"] == f"@{(now_ms - 5000) // 1000}"
