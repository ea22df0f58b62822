"""A route that asks for an access token: in a header or a cookie, of the issuers it names, many times, and no other."""

from typing import Any

import pytest

from ott_extauthz.authn.followed_keys import Arrival, FollowedKeys
from ott_extauthz.authn.foreign_claims import ForeignTerms
from ott_extauthz.authn.jwks import keys_from
from ott_extauthz.authn.keys import TrustedIssuer, VerificationKey
from ott_extauthz.check.credentials.access_tokens import AccessTokenCredential
from ott_extauthz.check.credentials.credential import LookUp
from ott_extauthz.model.decision import Allow, Decision, Deny
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection, TokenState
from ott_extauthz.policy.routes import CredentialKind
from ott_extauthz.wire.encode import answer_headers, response_from
from tests.fakes.desk import Desk
from tests.fakes.foreign import IDP, OTHER_IDP, PLAIN, FakeIdp, access_tokens_of
from tests.fakes.issuer import AUDIENCE
from tests.fakes.used_list import UnavailableUsedList

SID = "__Host-session"
UNBOUND = "bound_to: []\n    unbound: accept the risk"
POLICY = f"""
revision: "a1"
routes:
  - name: read
    match: {{hosts: [wallet.api], methods: [GET, POST], path: /read}}
    credential: access_token
    audience: wallet.api
    {UNBOUND}
    issuers: ["{IDP}"]
    scopes: ["wallet:read"]
  - name: any-issuer
    match: {{hosts: [wallet.api], methods: [POST], path: /any}}
    credential: access_token
    audience: wallet.api
    {UNBOUND}
  - name: others
    match: {{hosts: [wallet.api], methods: [POST], path: /others}}
    credential: access_token
    audience: wallet.api
    {UNBOUND}
    issuers: ["{OTHER_IDP}"]
  - name: bound
    match: {{hosts: [wallet.api], methods: [POST], path: /bound}}
    credential: access_token
    audience: wallet.api
  - name: site
    match: {{hosts: [wallet.api], path: /site}}
    credential: access_token
    audience: wallet.api
    {UNBOUND}
    from: {{cookie: {SID}}}
  - name: site-kept
    match: {{hosts: [wallet.api], path: /kept}}
    credential: access_token
    audience: wallet.api
    {UNBOUND}
    from: {{cookie: {SID}, keep: true}}
  - name: site-in-shadow
    match: {{hosts: [wallet.api], path: /shadow}}
    credential: access_token
    audience: wallet.api
    {UNBOUND}
    from: {{cookie: {SID}}}
    mode: shadow
  - name: encrypted
    match: {{hosts: [wallet.api], path: /encrypted}}
    credential: access_token
    audience: wallet.api
    {UNBOUND}
    encrypted: true
  - name: either
    match: {{hosts: [wallet.api], path: /either}}
    audience: wallet.api
    any_of:
      - {{credential: access_token, bound_to: [], unbound: accept the risk, from: {{cookie: {SID}}}}}
      - {{credential: access_token, bound_to: [], unbound: accept the risk}}
  - name: two-cookies
    match: {{hosts: [wallet.api], path: /two}}
    audience: wallet.api
    all_of:
      - {{credential: access_token, bound_to: [], unbound: accept the risk, from: {{cookie: one}}}}
      - {{credential: access_token, bound_to: [], unbound: accept the risk, from: {{cookie: two}}}}
  - name: mandated
    match: {{hosts: [wallet.api], methods: [POST], path: /mandated}}
    credential: mandate
    audience: wallet.api
    {UNBOUND}
  - name: once
    match: {{hosts: [wallet.api], methods: [POST], path: /once}}
    credential: one_time_token
    audience: wallet.api
    {UNBOUND}
    issuers: ["https://another.example"]
"""
IDP_FAKE, OTHER = FakeIdp(), FakeIdp(OTHER_IDP, kid="other-1", seed=b"\5" * 32)
TERMS = {IDP: ForeignTerms(), OTHER_IDP: PLAIN}
SITE = ("sec-fetch-site", "same-origin")


def desk_of() -> Desk:
    judge = access_tokens_of(TERMS, IDP_FAKE, OTHER)
    access = AccessTokenCredential(verify=judge.verify)
    return Desk(UnavailableUsedList(), policy=POLICY, more={CredentialKind.ACCESS_TOKEN: access})


def reason_of(decision: Decision) -> Reason | None:
    return decision.reason if isinstance(decision, Deny) else None


def upstream_headers(decision: Decision) -> tuple[dict[str, str], set[str]]:
    assert isinstance(decision, Allow), decision
    return answer_headers(response_from(decision, is_grpc=False, expose_reason=False))


async def ask(desk: Desk, *headers: tuple[str, str], path: str = "/read", **request: Any) -> Decision:
    return await desk.ask(desk.facts(*headers, path=path, **request))


def bearer(text: str) -> tuple[str, str]:
    return "authorization", f"Bearer {text}"


async def test_a_foreign_token_passes_many_times_without_a_store_and_without_reaching_the_upstream() -> None:
    desk, token = desk_of(), IDP_FAKE.access_token()
    for _ in range(3):
        to_set, removed = upstream_headers(await ask(desk, bearer(token)))
        assert "authorization" in removed
        assert (to_set["x-ott-subject"], to_set["x-ott-client"]) == ("player-7", "lobby")


@pytest.mark.parametrize(
    ("path", "token", "reason"),
    [
        ("/read", OTHER.plain_token(), Reason.TOKEN_ISSUER_UNKNOWN),
        ("/any", OTHER.plain_token(), None),
        ("/read", IDP_FAKE.access_token(scope="wallet:debit"), Reason.SCOPE_MISSING),
        ("/read", IDP_FAKE.plain_token(), Reason.TOKEN_TYPE_REFUSED),
        ("/bound", IDP_FAKE.access_token(), Reason.TOKEN_UNBOUND),
        ("/bound", IDP_FAKE.access_token(cnf={"x5t#S256": "A" * 43}), Reason.CERTIFICATE_MISMATCH),
        ("/any", IDP_FAKE.access_token(cnf={"x5t#S256": "A" * 43}), Reason.CERTIFICATE_MISMATCH),
        ("/any", IDP_FAKE.access_token(authorization_details=[{"type": "payment"}]), Reason.CONSTRAINT_UNKNOWN),
        ("/mandated", IDP_FAKE.access_token(aud=AUDIENCE, exp=1_795_000_100), Reason.TOKEN_ISSUER_UNKNOWN),
        ("/once", IDP_FAKE.access_token(), Reason.CREDENTIAL_MISSING),
    ],
)
async def test_what_a_route_asks_of_an_access_token(path: str, token: str, reason: Reason | None) -> None:
    assert reason_of(await ask(desk_of(), bearer(token), path=path, method="POST")) is reason


async def test_the_issuers_of_a_route_hold_for_one_time_tokens_too() -> None:
    desk = desk_of()
    assert reason_of(await ask(desk, ("x-ott", desk.token()), path="/once")) is Reason.TOKEN_ISSUER_UNKNOWN


async def test_a_one_time_token_is_no_access_token_and_is_not_spent_as_one() -> None:
    desk = desk_of()
    decision = await ask(desk, bearer(desk.token(cnf=None)), path="/any")
    assert (reason_of(decision), isinstance(decision, Deny) and decision.token_state) == (
        Reason.TOKEN_TYPE_REFUSED,
        TokenState.UNSPENT,
    )


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([], Reason.CREDENTIAL_MISSING),
        ([("authorization", "Bearer TOKEN, Bearer TOKEN")], Reason.CREDENTIAL_DUPLICATED),
        ([("authorization", "Bearer TOKEN"), ("authorization", "Bearer TOKEN")], Reason.CREDENTIAL_DUPLICATED),
        ([("authorization", "DPoP TOKEN")], Reason.CREDENTIAL_SCHEME_REFUSED),
        ([("authorization", "Basic TOKEN")], Reason.CREDENTIAL_SCHEME_REFUSED),
        ([("authorization", "TOKEN")], Reason.CREDENTIAL_SCHEME_REFUSED),
        ([("cookie", f"{SID}=TOKEN")], Reason.CREDENTIAL_MISSING),
        ([("authorization", "bearer TOKEN")], None),
    ],
)
async def test_a_header_holds_one_token_or_none(headers: list[tuple[str, str]], reason: Reason | None) -> None:
    token = IDP_FAKE.access_token()
    sent = [(name, value.replace("TOKEN", token)) for name, value in headers]
    assert reason_of(await ask(desk_of(), *sent)) is reason


@pytest.mark.parametrize("name", ["access_token", "authorization", "token"])
async def test_a_token_in_the_query_is_never_read(name: str) -> None:
    path = f"/read?{name}={IDP_FAKE.access_token()}"
    assert reason_of(await ask(desk_of(), path=path, method="GET")) is Reason.CREDENTIAL_MISSING


# --- in a cookie


def cookie(token: str, *more: str) -> tuple[str, str]:
    return "cookie", "; ".join(["theme=dark", f"{SID}={token}", *more])


async def test_the_upstream_sees_the_other_cookies_and_never_the_token() -> None:
    token = IDP_FAKE.access_token()
    to_set, removed = upstream_headers(await ask(desk_of(), cookie(token, "lang=de"), path="/site", method="GET"))
    assert to_set["cookie"] == "theme=dark; lang=de"
    assert "cookie" not in removed
    to_set, removed = upstream_headers(await ask(desk_of(), ("cookie", f"{SID}={token}"), path="/site", method="GET"))
    assert "cookie" not in to_set
    assert "cookie" in removed
    assert "authorization" not in removed


async def test_a_token_that_is_kept_stays_in_its_place() -> None:
    token = IDP_FAKE.access_token()
    to_set, removed = upstream_headers(await ask(desk_of(), cookie(token), path="/kept", method="GET"))
    assert to_set["cookie"] == f"theme=dark; {SID}={token}"
    assert removed.isdisjoint({"cookie", "authorization"})


async def test_two_tokens_in_two_cookies_are_both_taken_out() -> None:
    line = f"one={IDP_FAKE.access_token()}; a=1; two={IDP_FAKE.access_token(jti='b')}"
    to_set, _ = upstream_headers(await ask(desk_of(), ("cookie", line), path="/two", method="GET"))
    assert to_set["cookie"] == "a=1"


@pytest.mark.parametrize("line", [f"a=1; {SID}=TOKEN", f"{SID}=TOKEN", f"a=1,{SID}=TOKEN", "a=1"])
async def test_in_shadow_the_token_does_not_go_on_either(line: str) -> None:
    token = IDP_FAKE.access_token()
    request = ("cookie", line.replace("TOKEN", token))
    to_set, removed = upstream_headers(await ask(desk_of(), request, bearer("x.y.z"), path="/shadow", method="POST"))
    assert token not in to_set.get("cookie", "")
    assert to_set.get("cookie") == ("a=1" if "; " in line or line == "a=1" else None)
    assert ("cookie" in removed) is ("cookie" not in to_set)
    assert "authorization" not in removed


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([f"{SID}=TOKEN; {SID}=TOKEN"], Reason.CREDENTIAL_DUPLICATED),
        ([f"{SID}=TOKEN", f"{SID}=TOKEN"], Reason.CREDENTIAL_DUPLICATED),
        ([f"a=1,{SID}=TOKEN"], Reason.CREDENTIAL_DUPLICATED),
        ([f"{SID}=TOKEN,a=1"], Reason.CREDENTIAL_DUPLICATED),
        ([f'{SID}="TOKEN"'], Reason.TOKEN_MALFORMED),
        ([f"{SID}=eyJ"], Reason.TOKEN_MALFORMED),
        ([f"{SID.lower()}=TOKEN"], Reason.CREDENTIAL_MISSING),
        ([], Reason.CREDENTIAL_MISSING),
        (["a=1", f"{SID}=TOKEN"], None),
    ],
)
async def test_a_cookie_that_can_be_read_in_two_ways_is_refused(lines: list[str], reason: Reason | None) -> None:
    sent = [("cookie", line.replace("TOKEN", IDP_FAKE.access_token())) for line in lines]
    assert reason_of(await ask(desk_of(), *sent, path="/site", method="GET")) is reason


@pytest.mark.parametrize("path", ["/site", "/either"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "DPoP", "Basic eDp5,Bearer", "Basic eDp5, DPoP"])
async def test_a_token_in_a_cookie_and_another_in_the_header_are_two(path: str, scheme: str) -> None:
    sent = [cookie(IDP_FAKE.access_token()), ("authorization", f"{scheme} {IDP_FAKE.access_token()}")]
    assert reason_of(await ask(desk_of(), *sent, path=path, method="GET")) is Reason.CREDENTIAL_DUPLICATED


async def test_either_place_does_where_both_are_asked_for() -> None:
    for sent in (cookie(IDP_FAKE.access_token()), bearer(IDP_FAKE.access_token())):
        assert reason_of(await ask(desk_of(), sent, path="/either", method="GET")) is None
    basic = ("authorization", "Basic eDp5")
    assert reason_of(await ask(desk_of(), cookie(IDP_FAKE.access_token()), basic, path="/site", method="GET")) is None


CROSS_SITE: list[tuple[str, list[tuple[str, str]], bool]] = [
    ("GET", [], True),
    ("HEAD", [("sec-fetch-site", "cross-site")], True),
    ("POST", [SITE], True),
    ("POST", [("sec-fetch-site", "none")], True),
    ("POST", [("origin", "https://wallet.api")], True),
    ("POST", [("origin", "https://WALLET.api:443")], True),
    ("POST", [], False),
    ("DELETE", [], False),
    ("POST", [("sec-fetch-site", "cross-site")], False),
    ("POST", [("sec-fetch-site", "same-site")], False),
    ("POST", [("sec-fetch-site", "cross-site"), ("origin", "https://wallet.api")], False),
    ("POST", [SITE, SITE], False),
    ("POST", [("origin", "https://evil.example")], False),
    ("POST", [("origin", "http://wallet.api")], False),
    ("POST", [("origin", "https://wallet.api:8443")], False),
    ("POST", [("origin", "https://wallet.api.evil.example")], False),
    ("POST", [("origin", "https://wallet.api@evil.example")], False),
    ("POST", [("origin", "null")], False),
    ("POST", [("origin", "https://wallet.api"), ("origin", "https://evil.example")], False),
    ("POST", [("referer", "https://wallet.api/")], False),
    ("GET", [("upgrade", "websocket"), ("origin", "https://evil.example")], False),
    ("GET", [("upgrade", "websocket"), ("origin", "https://wallet.api")], True),
]


@pytest.mark.parametrize(("method", "headers", "passes"), CROSS_SITE)
async def test_no_other_site_makes_a_browser_spend_its_cookie(
    method: str, headers: list[tuple[str, str]], *, passes: bool
) -> None:
    decision = await ask(desk_of(), cookie(IDP_FAKE.access_token()), *headers, path="/site", method=method)
    assert reason_of(decision) is (None if passes else Reason.CROSS_SITE_REQUEST)
    if isinstance(decision, Deny):
        assert (decision.status, decision.token_state) == (403, TokenState.UNSPENT)


async def test_a_header_is_sent_by_no_browser_on_its_own() -> None:
    sent = [bearer(IDP_FAKE.access_token()), ("sec-fetch-site", "cross-site")]
    assert reason_of(await ask(desk_of(), *sent, method="POST")) is None


# --- what says nothing by itself


@pytest.mark.parametrize("text", ["a-b_c~", "a.b", "a.b.c", "a.b.c.d.e"])
async def test_what_is_no_token_of_ours_is_refused_where_nobody_introspects(text: str) -> None:
    assert reason_of(await ask(desk_of(), bearer(text))) is Reason.TOKEN_MALFORMED


# --- a key that is on its way


class Coming:
    """An issuer whose key set has one key more once somebody has waited for it."""

    def __init__(self, *, brings: bool = True) -> None:
        self.waited: list[float] = []
        self._brings = brings
        self.keys = FollowedKeys(is_believed=lambda: True, on_unknown=lambda: None, arrival=self._arrival)
        self._put(FakeIdp(kid="idp-0", seed=b"\x09" * 32))

    def _put(self, *issuers: FakeIdp) -> None:
        keys: dict[str, VerificationKey] = {}
        for issuer in issuers:
            keys |= keys_from(issuer.jwks())
        self.keys.put(keys)

    def _arrival(self) -> Arrival | None:
        return self._wait

    async def _wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        if self._brings:
            self._put(IDP_FAKE)

    def desk(self) -> Desk:
        judge = access_tokens_of(TERMS)
        trusted = TrustedIssuer(IDP, frozenset({"EdDSA"}), self.keys)
        judge.foreign.trust._trust[IDP] = trusted  # type: ignore[attr-defined]
        access = AccessTokenCredential(verify=judge.verify)
        return Desk(UnavailableUsedList(), policy=POLICY, more={CredentialKind.ACCESS_TOKEN: access})


async def test_the_first_token_of_a_new_key_waits_for_it_and_passes() -> None:
    coming = Coming()
    assert reason_of(await ask(coming.desk(), bearer(IDP_FAKE.access_token()))) is None
    [seconds] = coming.waited
    assert 0 < seconds < 0.25, "within Envoy's deadline, with something left to answer"


async def test_a_made_up_key_is_waited_for_once() -> None:
    coming = Coming(brings=False)
    desk = coming.desk()
    assert reason_of(await ask(desk, bearer(IDP_FAKE.access_token()))) is Reason.TOKEN_KEY_UNKNOWN
    assert len(coming.waited) == 1


async def test_nobody_waits_for_an_issuer_that_the_route_does_not_take() -> None:
    coming = Coming()
    found = await ask(coming.desk(), bearer(IDP_FAKE.access_token()), path="/others")
    assert (reason_of(found), coming.waited) == (Reason.TOKEN_ISSUER_UNKNOWN, [])


async def test_a_second_opinion_asks_for_no_key_and_says_what_it_found() -> None:
    desk = Coming().desk()
    attempt = desk.checker.begin()
    outcome = desk.checker._authorized(desk.facts(bearer(IDP_FAKE.access_token()), path="/read"), attempt)
    assert isinstance(outcome, LookUp)
    assert outcome.unasked == Rejection(Reason.TOKEN_KEY_UNKNOWN)
