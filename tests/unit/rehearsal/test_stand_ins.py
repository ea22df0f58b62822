"""Can a policy that takes other credentials than tokens be tried before it is shipped?"""

import asyncio

import pytest

from ott_extauthz.model.decision import Allow
from ott_extauthz.policy.document import policy_from
from ott_extauthz.rehearsal.cases import suite_from
from ott_extauthz.rehearsal.explaining import explained
from ott_extauthz.rehearsal.stage import rehearse

POLICY = """
revision: "r1"
routes:
  - name: report
    match: {path: /report}
    credential: api_key
    clients: [shop]
    scopes: [reports]
  - name: hook
    match: {path: /hook}
    credential: signed_request
    signed_request: {partners: [psp]}
    when: request.json.amount < 100
  - name: either
    match: {path: /either}
    audience: wallet.api
    any_of:
      - {credential: one_time_token}
      - {credential: api_key}
  - name: both
    match: {path: /both}
    audience: wallet.api
    all_of:
      - {credential: one_time_token}
      - {credential: signed_request}
  - name: report-by-certificate
    match: {path: /by-certificate}
    credential: certificate
    certificate: {spiffe_ids: ["spiffe://a.example/rgs"], dns: [psp.example], sha256: ["SHA"]}
  - name: proven
    match: {path: /proven}
    audience: wallet.api
    credential: access_token
    bound_to: [dpop]
  - name: event
    match: {path: /event}
    credential: signed_request
    signed_request: {partners: [psp], event: {pointer: /id, keep: 1h, on_repeat: 200}}
  - name: cookie
    match: {path: /cookie}
    audience: wallet.api
    credential: access_token
    issuers: ["https://login.example"]
    from: {cookie: __Host-session}
    bound_to: []
    unbound: accept the risk
""".replace("SHA", "ab" * 32)
KEY = "token: {claims: {client_id: shop, scope: reports}}"
HOOK = (
    "request: {host: a.api, path: /hook, method: POST, json: {amount: 5}}, token: {claims: {client_id: psp, sub: psp}}"
)
TOKEN = "claims: {client_id: psp, sub: psp, aud: wallet.api}, bound_to: psp"


def outcome(case: str) -> tuple[str, str]:
    text = f"policy: p.yaml\ncases:\n  - {{name: c, expect: {{code: OK}}, {case}}}\n"
    suite, _ = suite_from(text, "cases.yaml")
    rehearsed = asyncio.run(rehearse(suite.cases[0], suite, policy_from(POLICY, "p.yaml")))
    assert explained(rehearsed).steps
    found = rehearsed.decision
    return rehearsed.attempt.step, "OK" if isinstance(found, Allow) else found.reason


REPORT = "request: {host: a.api, path: /report}"
WITH = "request: {host: a.api, path: %s}, peer: {certificate: psp}"


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (f"{REPORT}, {KEY}", ("allow", "OK")),
        (f"{REPORT}", ("credential", "credential_missing")),
        (f"{REPORT}, token: {{claims: {{client_id: mallory, scope: reports}}}}", ("authorize", "client_denied")),
        (f"{REPORT}, token: {{claims: {{client_id: shop}}}}", ("authorize", "scope_missing")),
        (f"{REPORT}, token: {{signature: broken, claims: {{client_id: shop}}}}", ("verify", "api_key_unknown")),
        (f"{REPORT}, token: {{age: 60s, claims: {{client_id: shop}}}}", ("verify", "api_key_expired")),
        (f"{REPORT}, earlier: 3, {KEY}", ("allow", "OK")),
        (HOOK, ("allow", "OK")),
        (f"{HOOK}, store: spent", ("spend", "signature_replayed")),
        (
            HOOK.replace("sub: psp", "sub: other"),
            ("bind", "signature_key_unknown"),
        ),
        (
            HOOK.replace("amount: 5", "amount: 500"),
            ("authorize", "condition_not_met"),
        ),
        (f"{WITH % '/either'}, token: {{{TOKEN}}}", ("allow", "OK")),
        (f"{WITH % '/either'}, token: {{credential: api_key, claims: {{client_id: shop}}}}", ("allow", "OK")),
        (
            f"{WITH % '/either'}, token: {{{TOKEN}}}, also: [{{credential: api_key, claims: {{client_id: psp}}}}]",
            ("credential", "credential_duplicated"),
        ),
        (
            f"{WITH % '/both'}, token: {{{TOKEN}}}, also: [{{credential: signed_request, claims: {{client_id: psp}}}}]",
            ("allow", "OK"),
        ),
        (f"{WITH % '/both'}, token: {{{TOKEN}}}", ("credential", "credential_missing")),
        (
            f"{WITH % '/both'}, token: {{{TOKEN}}}, also: [{{credential: signed_request, claims: {{client_id: x}}}}]",
            ("bind", "credentials_disagree"),
        ),
    ],
)
def test_a_case_says_what_the_credential_would_prove(case: str, expected: tuple[str, str]) -> None:
    assert outcome(case) == expected


BY_CERTIFICATE = "request: {host: a.api, path: /by-certificate}, peer: {%s}"
PROVEN = (
    "request: {host: a.api, path: '/proven?a=1'}, token: {proof: %s, claims: {client_id: c, sub: s, aud: wallet.api}}"
)
EVENT = "request: {host: a.api, path: /event, method: POST, json: {%s: 7}}, token: {claims: {client_id: psp, sub: psp}}"
COOKIE = (
    "request: {host: a.api, path: /cookie, method: %s}, "
    "token: {claims: {iss: '%s', client_id: c, sub: s, aud: wallet.api}}"
)
LOGIN = "https://login.example"


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        pytest.param(case, expected, id=name)
        for name, case, expected in [
            ("workload", BY_CERTIFICATE % "certificate: a, principal: 'spiffe://a.example/rgs'", ("allow", "OK")),
            ("dns", BY_CERTIFICATE % "certificate: a, dns: [psp.example]", ("allow", "OK")),
            ("sha256", BY_CERTIFICATE % f"certificate: {'ab' * 32}", ("allow", "OK")),
            ("stranger", BY_CERTIFICATE % "certificate: a, dns: [x.example]", ("verify", "certificate_denied")),
            ("bare", BY_CERTIFICATE % "dns: [psp.example]", ("credential", "certificate_missing")),
            ("proof", PROVEN % "valid", ("allow", "OK")),
            ("no proof", PROVEN % "none", ("bind", "dpop_proof_missing")),
            ("thief's proof", PROVEN % "of_another_key", ("bind", "dpop_key_mismatch")),
            ("old proof", PROVEN % "stale", ("bind", "dpop_proof_invalid")),
            ("other proof", PROVEN % "for_another_request", ("bind", "dpop_proof_invalid")),
            ("proof again", f"{PROVEN % 'valid'}, store: spent", ("spend", "dpop_proof_replayed")),
            ("event", EVENT % "id", ("allow", "OK")),
            ("event again", f"{EVENT % 'id'}, earlier: 1", ("spend", "event_repeated")),
            ("no event", EVENT % "other", ("verify", "event_unnamed")),
            ("cookie", COOKIE % ("GET", LOGIN), ("allow", "OK")),
            ("other site", COOKIE % ("POST", LOGIN), ("credential", "cross_site_request")),
            ("other issuer", COOKIE % ("GET", "https://x.example"), ("verify", "token_issuer_unknown")),
        ]
    ],
)
def test_what_comes_beside_tokens_is_rehearsed_as_the_check_judges_it(case: str, expected: tuple[str, str]) -> None:
    assert outcome(case) == expected
