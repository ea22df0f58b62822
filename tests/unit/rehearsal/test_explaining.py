"""Does an explanation name the step that refused?  One case for each way in which a call is refused."""

import asyncio
import dataclasses
import json
from typing import Any

import pytest

from ott_extauthz.policy.document import Policy, policy_from
from ott_extauthz.rehearsal.cases import Suite, suite_from
from ott_extauthz.rehearsal.explaining import Explanation, as_text, explained
from ott_extauthz.rehearsal.from_audit import told
from ott_extauthz.rehearsal.recorded import rehearse_recorded
from ott_extauthz.rehearsal.stage import Surroundings, rehearse
from ott_extauthz.rehearsal.tokens import Mint
from ott_extauthz.sections.serving import ClockBounds

POLICY = """
revision: "r1"
routes:
  - name: debit
    match: {hosts: [wallet.api], methods: [POST], path: "/v1/wallets/{wallet}/debit"}
    credential: one_time_token
    audience: wallet.api
    clients: [rgs]
    scopes: ["wallet:debit"]
    max_auth_age: 5m
  - name: read
    match: {hosts: [wallet.api], methods: [GET], path: "/v1/wallets/{wallet}"}
    credential: one_time_token
    audience: wallet.api
    bound_to: [workload]
    from: {header: authorization, scheme: Bearer}
  - name: health
    match: {methods: [GET], path: /healthz}
    credential: public
"""
GOOD = """
policy: policy.yaml
defaults:
  at: 2026-11-22T10:00:00Z
  request: {method: POST, host: wallet.api, path: /v1/wallets/7/debit}
  peer: {certificate: rgs, principal: "spiffe://bank.example/rgs"}
  token:
    bound_to: rgs
    claims:
      sub: "spiffe://bank.example/rgs"
      client_id: rgs
      aud: wallet.api
      scope: "wallet:debit"
      auth_time: 1795341500
cases:
"""
THUMBPRINT = "4GjBJH144v-Sg8yJOLp_1owclMC8ixnR3WivIG8Uwh4"
REFUSALS = [
    ("request: {method: get}", "route", "request_malformed"),
    ("request: {host: 'a b'}", "route", "host_malformed"),
    ("request: {path: v1}", "route", "path_malformed"),
    ("request: {path: /v1/../admin}", "route", "path_ambiguous"),
    ("request: {path: /v1//x}", "route", "path_ambiguous"),
    ("request: {method: DELETE}", "route", "route_unknown"),
    ("request: {host: other.api}", "route", "route_unknown"),
    ("request: {path: /v1/wallets/7/credit}", "route", "route_unknown"),
    ("request: {extensions: {ott.route: debti}}", "route", "route_name_unknown"),
    ("request: {extensions: {ott.route: read}}", "route", "route_name_mismatch"),
    ("request: {headers: {x_ott_subject: me}}", "decode", "header_lookalike"),
    ("request: {headers: {'bad name': x}}", "decode", "header_malformed"),
    ("request: {headers: {content-type: [a/b, c/d]}}", "decode", "header_duplicated"),
    ("token: none", "credential", "credential_missing"),
    ("request: {headers: {x-ott: second}}", "credential", "credential_duplicated"),
    ("{token: none, request: {method: GET, path: /v1/wallets/7, headers: {authorization: Basic eA}}}",
     "credential", "credential_scheme_refused"),
    ("{token: none, request: {headers: {x-ott: not-a-token}}}", "verify", "token_malformed"),
    (f"{{token: none, request: {{headers: {{x-ott: {'a' * 8193}}}}}}}", "verify", "token_too_large"),
    ("token: {type: JWT}", "verify", "token_type_refused"),
    ("token: {signature: of_an_unknown_issuer}", "verify", "token_issuer_unknown"),
    ("token: {signature: broken}", "verify", "token_signature_invalid"),
    ("token: {signature: of_another_key}", "verify", "token_signature_invalid"),
    ("token: {claims: {sub: null}}", "verify", "token_claims_invalid"),
    ("token: {claims: {aud: bank.api}}", "verify", "token_audience_mismatch"),
    ("token: {claims: {nbf: 1795342000}}", "verify", "token_not_yet_valid"),
    ("token: {age: 60s}", "verify", "token_expired"),
    ("token: {lifetime: 10m}", "verify", "token_lifetime_too_long"),
    ("token: {bound_to: null}", "bind", "token_unbound"),
    ("token: {claims: {cnf: {x5u: abc}}}", "bind", "binding_unsupported"),
    ("peer: {certificate: null}", "bind", "certificate_missing"),
    ("peer: {certificate: thief}", "bind", "certificate_mismatch"),
    ("{request: {method: GET, path: /v1/wallets/7}, peer: {principal: 'spiffe://bank.example/other'}}",
     "bind", "workload_mismatch"),
    ("token: {claims: {client_id: jackpot}}", "authorize", "client_denied"),
    ("token: {claims: {scope: 'wallet:read'}}", "authorize", "scope_missing"),
    ("token: {claims: {auth_time: 1795330000}}", "authorize", "authentication_too_old"),
    ("token: {claims: {auth_time: null}}", "authorize", "authentication_too_old"),
    ("store: spent", "spend", "token_replayed"),
    ("store: fenced", "spend", "store_epoch"),
    ("store: clock_disagrees", "spend", "store_clock"),
    ("store: not_primary", "spend", "store_not_primary"),
    ("store: unsafe", "spend", "store_unsafe"),
    ("store: unavailable", "spend", "store_unavailable"),
]  # fmt: skip


def about(case: str, policy: str = POLICY) -> tuple[Suite, Policy]:
    """A suite of the one good case, changed as ``case`` says."""
    changes = case if case.startswith("{") else f"{{{case}}}"
    expect = "" if "expect:" in changes else "expect: {code: OK}, "
    text = f"{GOOD}  - {{name: it, {expect}{changes[1:-1]}}}\n"
    suite, _ = suite_from(text, "cases.yaml")
    return suite, policy_from(policy, "policy.yaml")


def explanation(case: str) -> Explanation:
    suite, policy = about(case)
    return explained(asyncio.run(rehearse(suite.cases[0], suite, policy)))


def test_the_good_case_is_allowed_and_every_step_is_shown() -> None:
    found = explanation("store: ready")
    assert (found.outcome, [seen.verdict for seen in found.steps]) == ("allow", ["ok"] * 8)
    assert found.steps[-1].saw["headers set"]["x-ott-client"] == "rgs"


@pytest.mark.parametrize(("case", "step", "reason"), REFUSALS, ids=[f"{r}-{i}" for i, (_, _, r) in enumerate(REFUSALS)])
def test_the_refusing_step_is_named(case: str, step: str, reason: str) -> None:
    found = explanation(case)
    assert (found.outcome, found.reason) == ("deny", reason)
    refusing = [seen.step for seen in found.steps if seen.verdict.startswith("REFUSED")]
    assert refusing == [step]
    later = found.steps[[seen.step for seen in found.steps].index(refusing[0]) + 1 :]
    assert {seen.verdict for seen in later} <= {"not reached"}
    assert f"REFUSED: {reason}" in as_text(found)


def test_a_public_route_asks_for_nothing() -> None:
    found = explanation("{token: none, request: {method: GET, path: /healthz}}")
    assert [seen.step for seen in found.steps] == ["decode", "route", "allow"]


def test_a_path_without_this_method_tells_which_methods_it_has() -> None:
    found = explanation("request: {method: DELETE}")
    assert found.steps[1].saw["other methods"] == ["POST: debit"]


UNROUTED = [
    ("request: {method: DELETE}",
     "No route is for DELETE /v1/wallets/7/debit, though this path has POST: debit. What no route matches is denied."),
    ("request: {host: other.api}",
     ("No route names the host other.api, only wallet.api, and those for any host have not this path. "
      "What no route matches is denied.")),
    ("request: {path: /v1/wallets/7/credit}",
     ("No route is for POST /v1/wallets/7/credit at wallet.api, which has POST /v1/wallets/{wallet}/debit (debit), "
      "GET /v1/wallets/{wallet} (read), GET /healthz (health). What no route matches is denied.")),
    ("request: {extensions: {ott.route: read}}",
     "The route that Envoy names does not match this method, host and path."),
]  # fmt: skip


@pytest.mark.parametrize(("case", "text"), UNROUTED, ids=["method", "host", "path", "name"])
def test_a_call_without_a_route_is_told_what_there_is_instead(case: str, text: str) -> None:
    assert explanation(case).text == text


def test_of_many_routes_some_are_told() -> None:
    routes = "".join(
        f"  - {{name: r{n}, match: {{hosts: [a.api], path: /r{n}}}, credential: public}}\n" for n in range(9)
    )
    suite, policy = about("request: {host: a.api, path: /other}", f"revision: r1\nroutes:\n{routes}")
    text = explained(asyncio.run(rehearse(suite.cases[0], suite, policy))).text
    assert "any method /r4 (r4) and 4 more. What" in text
    assert "r5" not in text


def test_the_route_that_envoy_names_stands_beside_the_policys_own() -> None:
    for named in ("read", "debti"):
        saw = explanation(f"request: {{extensions: {{ott.route: {named}}}}}").steps[1].saw
        assert (saw["Envoy names"], saw["the policy has"]) == (named, "debit")
        assert "other methods" not in saw


def test_a_hostile_path_of_a_call_without_a_route_reaches_no_terminal() -> None:
    text = as_text(explanation("request: {path: '/v1/%1b[2J'}"))
    assert "\x1b" not in text


LINE = {"decision_id": "d", "outcome": "deny", "reason": "route_unknown", "policy_revision": "r1"}
FROM_AUDIT = [
    ({"method": "DELETE", "host": "wallet.api", "path": "/v1/wallets/7/debit"},
     "revision r1: No route is for DELETE /v1/wallets/7/debit, though this path has POST: debit."),
    ({"method": "GET", "host": "wallet.api", "path": "/healthz"},
     "revision r1 has the route health for this host, method and path"),
    ({"method": "GET", "host": "a b", "path": "/"}, "revision r1: no route was looked for (host_malformed)"),
    ({"reason": "header_malformed"}, "revision r1: it was refused before a route was looked for"),
    ({"route": "gone"}, "revision r1 has no route named gone"),
    ({"policy_revision": "r0"}, "revision r1 (another one than decided): it was refused before"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "text"), FROM_AUDIT, ids=["method", "now it has", "malformed", "early", "gone", "old"]
)
def test_the_audit_of_a_call_without_a_route_says_what_there_is(line: dict[str, str], text: str) -> None:
    """It said "has no route of that name", where there was no name."""
    assert text in told(LINE | line, policy_from(POLICY, "policy.yaml"))


def test_no_signature_and_no_jti_is_ever_shown() -> None:
    suite, policy = about("peer: {certificate: thief}")
    rehearsed = asyncio.run(rehearse(suite.cases[0], suite, policy))
    text = as_text(explained(rehearsed))
    assert rehearsed.presented is not None
    assert rehearsed.presented.split(".")[2] not in text
    assert "rehearsal-00" not in text


def test_terminal_escapes_of_a_caller_are_written_out() -> None:
    found = explanation(r'request: {path: "/v1/\e[2J"}')
    assert "\x1b" not in as_text(found)


def test_calls_before_this_one_do_not_change_what_a_single_token_may() -> None:
    assert explanation("earlier: 3").outcome == "allow"


def values(found: Explanation) -> dict[str, Any]:
    """Everything that every step saw."""
    return {name: value for seen in found.steps for name, value in seen.saw.items()}


def test_a_refused_certificate_shows_both_thumbprints() -> None:
    saw = values(explanation("peer: {certificate: thief}"))
    assert saw["token is bound to"] == THUMBPRINT
    assert saw["caller's certificate"] not in (THUMBPRINT, None)


def test_a_refused_authorization_shows_conditions_and_the_age_of_the_login() -> None:
    policy = POLICY.replace("    max_auth_age: 5m", "    max_auth_age: 5m\n    when: token.sub == 'nobody'")
    suite, changed = about("store: ready", policy)
    saw = values(explained(asyncio.run(rehearse(suite.cases[0], suite, changed))))
    assert saw["when"] == "false: token.sub == 'nobody'"
    assert saw["seconds since the login"] == 100
    without = values(explanation("token: {claims: {auth_time: null}}"))
    assert without["seconds since the login"] == "the token does not say"


WEIGHED = """
revision: "r1"
roles: {payer: ["wallet:debit"]}
clients:
  - {client_id: rgs, roles: [payer], may_call: {routes: [other]}}
  - {client_id: jackpot, roles: [payer]}
routes:
  - name: debit
    match: {hosts: [wallet.api], methods: [POST], path: "/v1/wallets/{wallet}/debit"}
    credential: one_time_token
    audience: wallet.api
    amount: {value: /amount, currency: /currency}
    constraints: {region: [EU], asn: [64500], rate_limit: {count: 3, per: 1m}}
    when: 'request.path_params.wallet == "7"'
    deny_when:
      - 'request.headers["x-risk"] == "high"'
      - 'request.source.asn == 64500'
  - name: other
    match: {hosts: [wallet.api], methods: [GET], path: /other}
    credential: one_time_token
    audience: wallet.api
"""
MANDATE = (
    "{request: {json: {amount: 5, currency: EUR}}, peer: {asn: 64500}, token: {claims: {authorization_details: "
    "[{type: mandate, identifier: m1, max_amount: {value: '3', currency: EUR}, "
    "budget: {amount: {value: '10', currency: EUR}, since: 1780000000, until: 1800000000}}]}}}"
)


def test_every_mandate_constraint_and_condition_is_shown_with_its_truth() -> None:
    suite, policy = about(MANDATE, WEIGHED)
    found = explained(asyncio.run(rehearse(suite.cases[0], suite, policy)))
    saw = next(seen.saw for seen in found.steps if seen.step == "authorize")
    assert saw["policy's clients"] == "may_call_denied"
    assert saw["authorization_details[0].max_amount"] == "amount_exceeded"
    assert saw["authorization_details[0].charges"] == "budget 500 of 1000"
    assert saw["constraints.region"] == "region_denied"
    assert saw["constraints.asn"] == "holds"
    assert saw["constraints.charges"] == "rate 1 of 3 per 60000 ms"
    assert saw["when"] == 'true: request.path_params.wallet == "7"'
    assert saw["deny_when[0]"].startswith("error (")
    assert saw["deny_when[1]"] == "true: request.source.asn == 64500"
    assert json.loads(json.dumps(dataclasses.asdict(found)))["outcome"] == "deny"


def test_a_body_that_cannot_be_read_leaves_its_conditions_unasked() -> None:
    policy = POLICY.replace('    scopes: ["wallet:debit"]\n', "    when: 'request.json.amount < 7'\n", 1)
    suite, compiled = about("request: {body: '{', headers: {content-type: application/json}}", policy)
    saw = values(explained(asyncio.run(rehearse(suite.cases[0], suite, compiled))))
    assert saw["when"] == "not asked, body_malformed: request.json.amount < 7"


def test_the_query_is_not_shown() -> None:
    found = explanation('request: {path: "/v1/wallets/7/debit?access_token=S3CRET"}')
    assert "S3CRET" not in as_text(found) + json.dumps(dataclasses.asdict(found))


def test_an_instant_beyond_all_numbers_is_no_crash() -> None:
    text = Mint().signed({"iss": "i", "iat": 10**400}, type_="ott+jwt")
    assert "token_" in str(explanation(f"{{token: none, request: {{headers: {{x-ott: {text}}}}}}}").reason)


def test_the_token_that_is_shown_is_the_one_that_the_route_takes() -> None:
    """Not the first in any header: a session's cookie is nobody's business here."""
    suite, policy = about("store: ready")
    claims = {"iss": "https://i", "session": "S3CRET"}
    cookie = Mint().signed(claims, type_="JWT")
    told = about(f"request: {{headers: {{cookie: {cookie}}}}}")[0].cases[0]
    facts = asyncio.run(rehearse(told, suite, policy)).facts
    around = Surroundings(policy=policy, bounds=ClockBounds())
    found = explained(asyncio.run(rehearse_recorded(facts, told.at, around, None)))
    assert (found.outcome, values(found)["claims"]["client_id"]) == ("allow", "rgs")
    assert "S3CRET" not in as_text(found)
