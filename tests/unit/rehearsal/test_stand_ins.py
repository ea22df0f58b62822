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
"""
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
