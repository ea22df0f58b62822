"""Token exchange over real HTTPS (RFC 8693): what comes out, and what an attacker does not get."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ott_extauthz.authn.base64url import encoded
from tests.exchange_bank import (
    EXCHANGE,
    LOGIN,
    PARTNER,
    STRANGER,
    TYPE,
    Casino,
    claims_of,
    eur,
    mandate,
    name_of,
    services_of,
)  # fmt: skip
from tests.fakes.certificates import Authority, Leaf

ACCESS = TYPE + "access_token"
JACKPOT = {"sub": name_of("jackpot"), "client_id": "jackpot"}
WALLET = {"sub": name_of("wallet"), "client_id": "wallet"}


@pytest.fixture(scope="session")
def services(authority: Authority) -> dict[str, Leaf]:
    return services_of(authority)


@pytest.fixture
async def casino(tmp_path: Path, authority: Authority, services: dict[str, Leaf]) -> AsyncIterator[Casino]:
    async with Casino(tmp_path, authority, services=services).prepare().open() as opened:
        assert isinstance(opened, Casino)
        yield opened


async def test_a_users_token_becomes_a_narrow_mandate_that_says_who_acts(casino: Casino) -> None:
    user = casino.user(auth_time=1_795_000_000 - 90, acr="mfa", amr=["pwd", "otp"], sid="s-1", txn="t-1")
    asked = [mandate(max_amount=eur("250.00"), brand="aurora")]
    answer = await casino.exchange(subject_token=user, requested_token_type=ACCESS, authorization_details=asked)
    token = answer.json.pop("access_token")
    assert {name: value for name, value in answer.json.items() if name != "access_token"} == {
        "issued_token_type": ACCESS,
        "token_type": "Bearer",
        "expires_in": 120,
        "scope": "wallet:credit",
        "authorization_details": asked,
    }
    claims = claims_of(token)
    assert {name: claims[name] for name in ("sub", "client_id", "aud", "scope", "act", "txn", "sid", "acr", "amr")} == {
        "sub": "player:u-1", "client_id": "jackpot", "aud": "wallet.api", "scope": "wallet:credit", "act": JACKPOT,
        "txn": "t-1", "sid": "s-1", "acr": "mfa", "amr": ["pwd", "otp"],
    }  # fmt: skip
    assert claims["auth_time"] == 1_795_000_000 - 90
    assert claims["cnf"] == {"x5t#S256": encoded(casino.services["jackpot"].sha256)}
    assert claims["authorization_details"] == asked


async def test_without_a_word_it_is_a_one_time_token_at_the_ceiling(casino: Casino) -> None:
    answer = await casino.exchange()
    assert (answer.json["issued_token_type"], answer.json["token_type"]) == (TYPE + "jwt", "Bearer")
    ceiling = [mandate(brand=["aurora", "borealis"], max_amount=eur("5000"))]
    assert answer.json["authorization_details"] == ceiling
    assert claims_of(answer.json["access_token"])["authorization_details"] == ceiling


@pytest.mark.parametrize(
    "details",
    [
        [mandate(max_amount=eur("5000.01"))],
        [mandate(max_amount={"value": "1", "currency": "USD"})],
        [mandate(max_amount=eur("1")), mandate(max_amount=eur("9999"))],
        [mandate(brand=["aurora", "other"])],
        [{"type": "payment", "max_amount": eur("1")}],
        [mandate(max_amount=eur("1"), locations=["x"])],
        [mandate(max_amount=eur("1e3"))],
        [mandate(max_amount=eur("-1"))],
        [mandate()],
        [],
        {},
        "x",
        [mandate(rate_limit={"count": 1, "per": "1m"})],  # nothing to count under
        [mandate(brand="aurora")] * 9,
    ],
)
async def test_details_beyond_the_ceiling_or_the_grammar_are_refused_and_never_trimmed(
    casino: Casino, details: Any
) -> None:
    answer = await casino.exchange(authorization_details=details)
    assert answer.error == (400, "invalid_authorization_details")


@pytest.mark.parametrize(
    "text",
    [
        '[{"type":"mandate","max_amount":{"value":"9999","value":"1","currency":"EUR"}}]',
        '[{"type":"payment","type":"mandate","brand":"aurora"}]',
        '[{"type":"mandate","brand":"aurora"}] []',
        "[" * 200 + "]" * 200,
        '[{"type":"mandate","max_amount":{"value":' + "1" * 70 + ',"currency":"EUR"}}]',
        '[{"type":"mandate","brand":"\\ud800"}]',
        "NaN",
    ],
)
async def test_json_that_two_parsers_read_differently_is_refused(casino: Casino, text: str) -> None:
    fields = {"grant_type": EXCHANGE, "subject_token": casino.user(), "subject_token_type": TYPE + "id_token"}
    form = fields | {"client_id": "jackpot", "resource": "wallet.api", "authorization_details": text}
    answer = await casino.token(casino.services["jackpot"], form)
    assert answer.error == (400, "invalid_authorization_details")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"subject_token": None}, "invalid_request"),
        ({"subject_token": None, "subject_token_type": None}, "invalid_request"),
        ({"subject_token_type": None}, "invalid_request"),
        ({"actor_token": "x"}, "invalid_request"),
        ({"actor_token_type": ACCESS}, "invalid_request"),
        ({"subject_token": "x"}, "invalid_request"),
        ({"subject_token_type": TYPE + "refresh_token"}, "invalid_request"),
        ({"subject_token_type": TYPE + "saml2"}, "invalid_request"),
        ({"subject_token_type": ACCESS}, "invalid_request"),
        ({"subject_token_type": TYPE + "jwt"}, "invalid_request"),
        ({"requested_token_type": TYPE + "refresh_token"}, "invalid_request"),
        ({"requested_token_type": TYPE + "txn_token"}, "invalid_request"),
        ({"audience": "open.api", "requested_token_type": TYPE + "id_token"}, "invalid_request"),
        ({"audience": None}, "invalid_target"),
        ({"audience": "ledger.api"}, "invalid_target"),
        ({"audience": ["wallet.api", "open.api"]}, "invalid_target"),
        ({"resource": "open.api"}, "invalid_target"),
        ({"scope": "wallet:credit wallet:debit"}, "invalid_scope"),
    ],
)
async def test_rfc_8693_requests_that_are_refused(casino: Casino, fields: dict[str, Any], error: str) -> None:
    assert (await casino.exchange(**fields)).error == (400, error)


async def test_resource_and_audience_may_both_name_the_one_target(casino: Casino) -> None:
    assert (await casino.exchange(resource="wallet.api")).status == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1_795_000_000},
        {"exp": 1_795_000_000.2},
        {"iat": 1_795_000_002},
        {"nbf": 1_795_000_002},
        {"auth_time": 1_795_000_002},
        {"exp": None},
        {"iat": None},
        {"exp": "1795000999"},
        {"exp": True},
        {"sub": None},
        {"sub": ""},
        {"sub": "a\nb"},
        {"sub": ["u-1"]},
        {"sub": "u" * 513},
        {"sub": "u" * 510},  # too long only with its prefix
        {"aud": "shop"},
        {"aud": "casino2"},
        {"aud": {"casino": 1}},
        {"aud": []},
        {"aud": None},
        {"iss": "https://stranger.example"},
        {"iss": "https://partner.example"},
        {"iss": "https://login.example/"},
        {"iss": ["https://login.example"]},
        {"iss": None},
        {"cnf": {"x5t#S256": encoded(bytes(32))}},
        {"cnf": {"jkt": encoded(bytes(32))}},
        {"cnf": {"jwk": {}}},
        {"cnf": {}},
        {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}},
        {"htm": "POST"},
        {"digest": encoded(bytes(32))},
        {"authorization_details": [{"type": "payment"}]},
        {"authorization_details": []},
        {"authorization_details": [mandate(identifier="m", rate_limit={"count": 1, "per": "1m"})]},
        {"authorization_details": [mandate(identifier="m", budget={"count": 1, "since": 1.0, "until": 1795009999})]},
        {"region": {"name": "EU"}},
        {"scope": "a  b"},
        {"amr": "pwd"},
        {"amr": ["x"] * 17},
        {"act": "jackpot"},
        {"act": {"client_id": "x"}},
        {"act": {"sub": "a", "act": None}},
        {"act": {"sub": "a", "act": {"act": {"sub": "b"}}}},
        {"act": {"sub": "a", "act": {"sub": "b", "act": {"sub": "c", "act": {"sub": "d"}}}}},
        {"may_act": {"sub": name_of("wallet")}},
        {"may_act": {}},
        {"may_act": {"sub": name_of("jackpot"), "iss": "https://login.example"}},
        {"may_act": {"sub": name_of("jackpot"), "role": "any"}},
        {"may_act": {"iss": "https://issuer.bank.example"}},
        {"may_act": [name_of("jackpot")]},
    ],
)
async def test_a_subject_token_that_says_too_much_or_too_little_is_refused(
    casino: Casino, changes: dict[str, Any]
) -> None:
    assert (await casino.exchange(subject_token=casino.user(**changes))).error == (400, "invalid_request")


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ES256"},
        {"alg": "eddsa"},
        {"kid": "partner-1"},
        {"kid": None},
        {"typ": "at+jwt"},
        {"typ": "ott+jwt"},
        {"typ": "logout+jwt"},
        {"typ": "dpop+jwt"},
        {"crit": ["x"]},
        {"b64": False},
    ],
)
async def test_a_subject_token_is_never_believed_by_its_own_header(casino: Casino, header: dict[str, Any]) -> None:
    assert (await casino.exchange(subject_token=casino.user(header=header))).error == (400, "invalid_request")


async def test_an_issuers_name_under_anothers_key_is_refused(casino: Casino) -> None:
    for issuer in (STRANGER, PARTNER):
        forged = casino.user(issuer, iss=LOGIN.issuer, header={"typ": "JWT"})
        assert (await casino.exchange(subject_token=forged)).error == (400, "invalid_request")
    ours = casino.user(LOGIN, iss=casino.url, client_id="jackpot", aud="wallet.api", header={"typ": "at+jwt"})
    assert (await casino.exchange(token=ours)).error == (400, "invalid_request")


async def test_a_users_token_with_a_byte_changed_is_refused(casino: Casino) -> None:
    head, payload, signature = casino.user().split(".")
    changed = ("A" if signature[0] != "A" else "B") + signature[1:]
    assert (await casino.exchange(subject_token=f"{head}.{payload}.{changed}")).error == (400, "invalid_request")


async def test_a_user_named_like_a_workload_or_a_client_would_pass_for_it(tmp_path: Path, authority: Authority) -> None:
    services = services_of(authority)
    casino = Casino(tmp_path, authority, services=services).prepare()
    settings = (tmp_path / "ott.yaml").read_text()
    (tmp_path / "ott.yaml").write_text(settings.replace('"player:"', '"w"'))
    async with casino.open():
        assert (await casino.exchange(subject_token=casino.user(sub="hoever"))).status == 200
        assert (await casino.exchange(subject_token=casino.user(sub="allet"))).error == (400, "invalid_request")
    (tmp_path / "ott.yaml").write_text(settings.replace('"player:"', '"s"'))
    async with casino.open():
        for sub in ("piffe://casino.example/wallet", "PIFFE://casino.example/wallet"):
            assert (await casino.exchange(subject_token=casino.user(sub=sub))).error == (400, "invalid_request")


async def test_the_scope_of_a_users_token_limits_where_its_issuer_says_so(casino: Casino) -> None:
    async def scope(asked: str | None, **claims: Any) -> object:
        user = casino.user(PARTNER, **claims)
        answer = await casino.exchange(subject_token=user, subject_token_type=ACCESS, audience="open.api", scope=asked)
        return answer.json["scope"] if answer.status == 200 else answer.error

    refused = (400, "invalid_scope")
    assert await scope("wallet:read", scope="wallet:read openid") == "wallet:read"
    assert await scope("wallet:credit", scope="wallet:read openid") == refused
    assert await scope(None, scope="wallet:read") == refused  # all of the grant is more than the user's
    assert await scope("wallet:read") == refused  # no scope at all


async def test_only_the_listed_subjects_and_targets_of_an_issuer_are_exchanged(casino: Casino) -> None:
    for sub, audience, status in (("u-1", "open.api", 200), ("u-3", "open.api", 400), ("u-1", "wallet.api", 400)):
        user = casino.user(PARTNER, sub=sub, scope="wallet:credit")
        form = {"subject_token_type": ACCESS, "audience": audience, "scope": "wallet:credit"}
        assert (await casino.exchange(subject_token=user, **form)).status == status


async def test_a_client_that_delegates_for_nobody_is_unauthorized(casino: Casino) -> None:
    answer = await casino.exchange("gateway", audience="open.api")
    assert answer.error == (400, "unauthorized_client")


async def test_mandates_of_a_users_token_stay_and_region_is_one(casino: Casino) -> None:
    own = [mandate(max_amount=eur("40"), cidr=["10.0.0.0/8"])]
    user = casino.user(authorization_details=own, region="EU")
    answer = await casino.exchange(subject_token=user, authorization_details=[mandate(brand="aurora")])
    assert answer.json["authorization_details"] == [*own, mandate(region="EU"), mandate(brand="aurora")]


async def test_a_mandate_above_the_ceiling_in_a_users_token_is_held_at_the_ceiling(casino: Casino) -> None:
    own = [mandate(max_amount=eur("90000"))]
    details = (await casino.exchange(subject_token=casino.user(authorization_details=own))).json[
        "authorization_details"
    ]
    assert details == [*own, mandate(brand=["aurora", "borealis"], max_amount=eur("5000"))]


async def test_the_holder_exchanges_its_mandate_for_tokens_that_carry_all_of_it(casino: Casino) -> None:
    first = await casino.mandate_of(authorization_details=[mandate(max_amount=eur("250"), brand="aurora")])
    casino.clock.at_ms += 100_000
    answer = await casino.exchange(token=first, authorization_details=[mandate(max_amount=eur("60"))])
    claims = claims_of(answer.json["access_token"])
    assert claims["authorization_details"] == [
        mandate(max_amount=eur("250"), brand="aurora"),
        mandate(max_amount=eur("60")),
    ]
    assert (claims["sub"], claims["act"]) == ("player:u-1", JACKPOT)  # the same actor is not named twice
    assert claims["txn"] == claims_of(first)["txn"]
    assert answer.json["expires_in"] == 20  # what is left of 120 s
    assert claims["exp"] == claims_of(first)["exp"]


async def test_an_expired_mandate_and_one_in_its_last_second_are_refused(casino: Casino) -> None:
    first = await casino.mandate_of()
    for moved in (119_500, 500, 1000):
        casino.clock.at_ms += moved
        assert (await casino.exchange(token=first)).error == (400, "invalid_request")


async def test_a_one_time_token_is_never_exchanged(casino: Casino) -> None:
    token = (await casino.exchange()).json["access_token"]
    for kind in ("jwt", "access_token", "id_token", "txn_token"):
        assert (await casino.exchange(token=token, subject_token_type=TYPE + kind)).error == (400, "invalid_request")


async def test_a_stolen_mandate_is_no_use_to_another_client(casino: Casino) -> None:
    """The rival may exchange the jackpot's tokens by its own grant: but it is not the service that they are for."""
    stolen = await casino.mandate_of()
    for details in (None, claims_of(stolen)["authorization_details"]):
        answer = await casino.exchange("rival", stolen, authorization_details=details)
        assert answer.error == (400, "invalid_request")


async def test_a_mandate_is_no_use_under_the_clients_next_certificate(casino: Casino, authority: Authority) -> None:
    first = await casino.mandate_of()
    casino.services = casino.services | {"jackpot": authority.leaf("jackpot", uris=(name_of("jackpot"),))}
    assert (await casino.exchange(token=first)).error == (400, "invalid_request")


async def test_the_service_that_a_mandate_is_for_passes_it_on_with_every_actor(casino: Casino) -> None:
    first = await casino.mandate_of(authorization_details=[mandate(max_amount=eur("250"), brand="aurora")])
    answer = await casino.exchange("wallet", first, audience="ledger.api", scope="wallet:credit")
    claims = claims_of(answer.json["access_token"])
    assert claims["sub"] == "player:u-1"
    assert claims["act"] == WALLET | {"act": JACKPOT}
    assert claims["authorization_details"] == [mandate(max_amount=eur("250"), brand="aurora")]
    assert claims["cnf"] == {"x5t#S256": encoded(casino.services["wallet"].sha256)}


async def test_passing_on_never_widens_the_scope_though_the_service_has_more(casino: Casino) -> None:
    first = await casino.mandate_of()
    for scope in (None, "ledger:write", "wallet:credit ledger:write"):
        answer = await casino.exchange("wallet", first, audience="ledger.api", scope=scope)
        assert answer.error == (400, "invalid_scope")


async def test_a_rate_or_budget_is_not_begun_anew_by_another_client(casino: Casino) -> None:
    counted = [mandate(identifier="m-1", rate_limit={"count": 1, "per": "1m"}, max_amount=eur("1"), brand="aurora")]
    first = await casino.mandate_of(authorization_details=counted)
    assert (await casino.exchange("wallet", first, audience="ledger.api", scope="wallet:credit")).error[0] == 400
    own = await casino.exchange(token=first)  # its own client counts on
    assert own.json["authorization_details"] == counted


async def test_a_holders_mandate_is_for_its_own_target_unless_a_delegation_says_more(casino: Casino) -> None:
    first = await casino.mandate_of()
    answer = await casino.exchange(token=first, audience="open.api", scope="wallet:credit")
    assert answer.error == (400, "invalid_request")


@pytest.mark.parametrize("actors", [1, 2, 3])
async def test_the_actors_of_a_users_token_are_nested_inside_and_never_stripped(casino: Casino, actors: int) -> None:
    """Also where the target would let the client go unnamed: delegation does not turn into impersonation."""
    chain: dict[str, Any] = {"sub": "a-0"}
    for number in range(1, actors):
        chain = {"sub": f"a-{number}", "iss": "https://login.example", "act": chain}
    user = casino.user(act=chain)
    for audience in ("wallet.api", "open.api", "quiet.api"):
        answer = await casino.exchange(subject_token=user, audience=audience)
        assert claims_of(answer.json["access_token"])["act"] == JACKPOT | {"act": chain}


async def test_an_actor_of_null_is_not_no_actor(casino: Casino) -> None:
    """Else an attacker who can add a claim would turn delegation into impersonation."""
    claims = LOGIN.claims(casino.clock.at_ms, sub="u-1", aud="casino", cnf=None, scope=None) | {"act": None}
    answer = await casino.exchange(subject_token=LOGIN.token(claims, {"typ": "JWT"}), audience="quiet.api")
    assert answer.error == (400, "invalid_request")


async def test_nobody_impersonates_unless_the_target_says_so_and_the_token_names_no_actor(casino: Casino) -> None:
    async def act(audience: str, **claims: Any) -> Any:
        answer = await casino.exchange(subject_token=casino.user(**claims), audience=audience)
        return claims_of(answer.json["access_token"]).get("act")

    allowed = {"sub": name_of("jackpot"), "iss": casino.url, "client_id": "jackpot"}
    assert await act("open.api") == JACKPOT
    assert await act("quiet.api") is None
    assert await act("quiet.api", may_act=allowed) == JACKPOT
    assert await act("quiet.api", act={"sub": "x"}) == JACKPOT | {"act": {"sub": "x"}}


async def test_who_may_act_stays_written_down_for_whoever_is_next(casino: Casino) -> None:
    allowed = {"sub": name_of("jackpot")}
    first = await casino.mandate_of(subject_token=casino.user(may_act=allowed))
    assert claims_of(first)["may_act"] == allowed
    assert (await casino.exchange(token=first)).status == 200
    answer = await casino.exchange("wallet", first, audience="ledger.api", scope="wallet:credit")
    assert answer.error == (400, "invalid_request")


async def test_an_actor_token_is_the_clients_own_about_itself(casino: Casino) -> None:
    async def acting(token: str, kind: str = "access_token") -> Any:
        answer = await casino.exchange(audience="quiet.api", actor_token=token, actor_token_type=TYPE + kind)
        return claims_of(answer.json["access_token"])["act"] if answer.status == 200 else answer.error

    own = await casino.ask("jackpot", grant_type="client_credentials", audience="open.api", requested_token_type=ACCESS)
    other = await casino.ask("gateway", grant_type="client_credentials", audience="open.api")
    assert claims_of(own.json["access_token"]).get("act") is None
    assert await acting(own.json["access_token"]) == JACKPOT  # named, though the target would not ask for it
    refused = (400, "invalid_request")
    assert await acting(other.json["access_token"]) == refused
    assert await acting(await casino.mandate_of()) == refused  # it is about the user
    assert await acting(casino.user(sub=name_of("jackpot")), "id_token") == refused
    assert await acting(own.json["access_token"], "jwt") == JACKPOT
    casino.clock.at_ms += 120_000
    assert await acting(own.json["access_token"]) == refused


async def test_an_actor_token_counts_only_from_who_holds_it(casino: Casino, authority: Authority) -> None:
    own = await casino.ask("jackpot", grant_type="client_credentials", audience="open.api", requested_token_type=ACCESS)
    casino.services = casino.services | {"jackpot": authority.leaf("jackpot", uris=(name_of("jackpot"),))}
    form = {"actor_token": own.json["access_token"], "actor_token_type": ACCESS}
    assert (await casino.exchange(**form)).error == (400, "invalid_request")


async def test_an_exchange_lives_no_longer_than_the_actor_token(casino: Casino) -> None:
    own = await casino.ask("jackpot", grant_type="client_credentials", audience="open.api", requested_token_type=ACCESS)
    casino.clock.at_ms += 115_000
    form = {"actor_token": own.json["access_token"], "actor_token_type": ACCESS}
    assert (await casino.exchange(**form)).json["expires_in"] == 5


async def test_never_longer_than_the_users_token(casino: Casino) -> None:
    user = casino.user(exp=casino.clock.at_ms / 1000 + 9.5)
    answer = await casino.exchange(subject_token=user, requested_token_type=ACCESS)
    assert answer.json["expires_in"] == 9
    assert claims_of(answer.json["access_token"])["exp"] == pytest.approx(casino.clock.at_ms / 1000 + 9.5, abs=0.001)


async def test_a_subject_token_as_large_as_a_form_may_carry_is_refused_in_kind(casino: Casino) -> None:
    """Everything in it within its own bound, and together more than any Check server reads."""

    def brands(count: int) -> list[Any]:
        return [mandate(brand=[f"{number}-{'b' * 56}" for number in range(count)])]

    user = casino.user(authorization_details=brands(60))
    assert (await casino.exchange(subject_token=user, audience="open.api")).status == 200
    answer = await casino.exchange(subject_token=user, audience="open.api", authorization_details=brands(40))
    assert answer.error == (400, "invalid_request")


async def test_the_rate_of_a_grant_stands_in_every_token_under_a_name_that_stays(casino: Casino) -> None:
    async def details(**fields: Any) -> Any:
        answer = await casino.ask("gateway", grant_type="client_credentials", audience="open.api", **fields)
        return answer.json["authorization_details"] if answer.status == 200 else answer.error

    first = await details()
    assert [detail["rate_limit"] for detail in first] == [{"count": 5, "per": "60s"}]
    assert await details() == first
    name = first[0]["identifier"]
    narrower = mandate(identifier="mine", rate_limit={"count": 1, "per": "1m"})
    assert await details(authorization_details=[narrower]) == [narrower, *first]
    refused = (400, "invalid_authorization_details")
    assert await details(authorization_details=[narrower | {"identifier": name}]) == refused
    assert await details(authorization_details=[narrower | {"rate_limit": {"count": 6, "per": "2m"}}]) == refused
    assert await details(authorization_details=[narrower | {"rate_limit": {"count": 5, "per": "59s"}}]) == refused


async def test_client_credentials_keep_to_the_ceiling_too(casino: Casino) -> None:
    async def own(**fields: Any) -> Any:
        form = {"grant_type": "client_credentials", "audience": "wallet.api"} | fields
        return await casino.ask("jackpot", **form)

    assert (await own()).json["authorization_details"] == [
        mandate(brand=["aurora", "borealis"], max_amount=eur("5000"))
    ]
    within = [mandate(max_amount=eur("5000"), brand="borealis")]
    answer = await own(requested_token_type=ACCESS, authorization_details=within)
    assert (answer.json["token_type"], answer.json["authorization_details"]) == ("Bearer", within)
    above = await own(authorization_details=[mandate(max_amount=eur("5000.01"))])
    assert above.error == (400, "invalid_authorization_details")
    assert (await own(audience="casino.example")).error == (400, "invalid_request")


async def test_a_mandate_restricts_something(casino: Casino) -> None:
    async def bare(service: str, audience: str) -> Any:
        form = {"grant_type": "client_credentials", "audience": audience, "requested_token_type": ACCESS}
        return await casino.ask(service, **form)

    assert (await bare("rival", "ledger.api")).error == (400, "invalid_authorization_details")
    assert (await bare("rival", "wallet.api")).status == 200  # it has access tokens there


async def transaction(casino: Casino, service: str = "jackpot", **fields: Any) -> Any:
    defaults = {
        "audience": "casino.example",
        "scope": "wallet:credit",
        "requested_token_type": TYPE + "txn_token",
    }
    return await casino.exchange(service, **(defaults | fields))


async def replaced(casino: Casino, service: str, token: str, **fields: Any) -> Any:
    kinds = {"subject_token": token, "subject_token_type": TYPE + "txn_token"}
    return await transaction(casino, service, **(kinds | fields))


async def test_a_transaction_token_says_what_it_is_about(casino: Casino) -> None:
    details = {"action": "credit", "odds": 1.25, "lines": [1, 2]}
    answer = await transaction(casino, request_details=details, request_context={"req_ip": "192.0.2.1"})
    assert (answer.json["issued_token_type"], answer.json["token_type"]) == (TYPE + "txn_token", "N_A")
    assert "refresh_token" not in answer.json
    claims = claims_of(answer.json["access_token"])
    assert (claims["aud"], claims["sub"], claims["req_wl"]) == ("casino.example", "player:u-1", name_of("jackpot"))
    assert (claims["tctx"], claims["rctx"]) == (details, {"req_ip": "192.0.2.1"})
    assert (claims["act"], claims["scope"], "cnf" in claims) == (JACKPOT, "wallet:credit", False)


@pytest.mark.parametrize(
    "fields",
    [
        {"request_details": "[]"},
        {"request_details": '{"a":1,"a":2}'},
        {"request_details": '{"a":"' + "x" * 2048 + '"}'},
        {"request_context": "{"},
        {"request_context": '{"a":' + "[" * 65 + "]" * 65 + "}"},
        {"scope": None},
        {"scope": "wallet:debit"},
        {"audience": "other.example"},
    ],
)
async def test_a_transaction_token_of_anything_else_is_refused(casino: Casino, fields: dict[str, Any]) -> None:
    assert (await transaction(casino, **fields)).status == 400


async def test_no_token_is_hidden_in_a_transaction_token(casino: Casino) -> None:
    token = casino.user()
    for details in ({"a": token}, {"a": [{"b": f" {token}"}]}, {token: 1}):
        assert (await transaction(casino, request_details=details)).error == (400, "invalid_request")


async def test_a_transaction_token_is_replaced_by_a_service_of_its_domain_and_stays_what_it_is(casino: Casino) -> None:
    first = (await transaction(casino, request_details={"action": "credit"})).json["access_token"]
    old, new = claims_of(first), claims_of((await replaced(casino, "wallet", first)).json["access_token"])
    same = ("txn", "sub", "aud", "tctx", "scope")
    assert [new[name] for name in same] == [old[name] for name in same]
    assert (new["req_wl"], new["act"]) == (name_of("wallet"), WALLET | {"act": JACKPOT})
    assert new["exp"] <= old["exp"]
    assert (await replaced(casino, "rival", first)).error == (400, "invalid_request")
    for name in ("request_details", "request_context"):
        assert (await replaced(casino, "wallet", first, **{name: {"action": "debit"}})).error[0] == 400
    elsewhere = {"audience": "ledger.api", "requested_token_type": ACCESS}
    assert (await replaced(casino, "wallet", first, **elsewhere)).error == (400, "invalid_request")
    assert (await replaced(casino, "wallet", first, subject_token_type=ACCESS)).error == (400, "invalid_request")
    domain = {"audience": "annex.example"}  # its own client may exchange its tokens for it, but not this kind
    assert (await replaced(casino, "jackpot", first, **domain)).error == (400, "invalid_request")
    casino.clock.at_ms += 30_000
    assert (await replaced(casino, "wallet", first)).error == (400, "invalid_request")


async def test_no_answer_repeats_a_token_that_was_sent(casino: Casino) -> None:
    user = casino.user(exp=1)
    answer = await casino.exchange(subject_token=user)
    assert answer.error == (400, "invalid_request")
    assert not any(part in answer.body.decode() for part in user.split("."))
    assert casino.observer.faults == []
    assert json.loads(answer.body)["error_description"].isascii()


@pytest.mark.parametrize("text", ["a\ud800", "a\0b", "\x7f"])
async def test_no_actor_that_nobody_can_read_is_copied(casino: Casino, text: str) -> None:
    for actor in ({"sub": text}, {"sub": "desk", "iss": text}, {"sub": "desk", text: "x"}):
        answer = await casino.exchange(subject_token=casino.user(act=actor))
        assert answer.error == (400, "invalid_request")
    assert casino.observer.faults == []
