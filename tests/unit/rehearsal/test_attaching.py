"""What would be attached?  Said without a key, an issuer or a token."""

import asyncio

import pytest

from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.policy.document import Policy, policy_from
from ott_extauthz.rehearsal.cases import suite_from
from ott_extauthz.rehearsal.comparing import Comparison, compared
from ott_extauthz.rehearsal.explaining import as_text, explained
from ott_extauthz.rehearsal.from_audit import told
from ott_extauthz.rehearsal.judging import Verdict, verdict
from ott_extauthz.rehearsal.stage import rehearse

POLICY = """
revision: "r1"
routes:
  - name: to-wallet
    match: {hosts: [wallet.api], methods: [POST], path: "/v1/wallets/{wallet}/debit"}
    attach: one_time_token
    audience: wallet.api
    scopes: ["wallet:debit"]
    bound_to_request: [method, body]
    when: 'request.json.amount <= 10'
  - name: health
    match: {methods: [GET], path: /healthz}
    credential: public
"""
CASES = """
policy: policy.yaml
defaults:
  request:
    method: POST
    host: wallet.api
    path: /v1/wallets/7/debit
    json: {amount: 5}
    extensions: {ott.direction: outbound}
cases:
  - name: leaves
    expect: {attach: wallet.api, code: OK, step: allow, headers: {x-ott: (a fresh token)}, removes: [x-ott-subject]}
  - name: forged
    request: {headers: {x-ott: forged}}
    expect: {attach: wallet.api, headers: {x-ott: (a fresh token)}}
  - name: came in
    request: {extensions: {}}
    expect: {reason: not_outbound, step: attach}
  - name: too much
    request: {json: {amount: 50}}
    expect: {reason: condition_not_met, detail: when}
  - name: half a body
    request: {buffered: partial}
    expect: {reason: body_incomplete}
  - name: no issuer
    tokens: unavailable
    expect: {reason: token_source_unavailable, status: 503, headers: {retry-after: "1"}}
  - name: no grant
    tokens: refused
    expect: {reason: token_source_refused}
  - name: another audience
    expect: {attach: ledger.api}
  - name: health
    request: {method: GET, path: /healthz, json: null}
    expect: {attach: wallet.api}
"""


def verdicts() -> dict[str, Verdict]:
    suite, _ = suite_from(CASES, "cases.yaml")
    policy = policy_from(POLICY, "policy.yaml")
    return {case.name: verdict(case, asyncio.run(rehearse(case, suite, policy))) for case in suite.cases}


def test_cases_say_what_is_attached_and_what_keeps_a_request_from_leaving() -> None:
    failed = {name: found.differences for name, found in verdicts().items() if found.differences}
    assert set(failed) == {"another audience", "health"}
    assert [(one.what, one.expected, one.seen) for one in failed["another audience"]] == [
        ("attach", "ledger.api", "wallet.api")
    ]
    assert [one.seen for one in failed["health"]] == [None]


def test_an_explanation_says_what_would_be_asked_for_and_shows_no_token() -> None:
    text = as_text(explained(verdicts()["leaves"].rehearsed))
    for said in (
        "attach      ok", "ott.direction: outbound", "token for audience: wallet.api", '["wallet:debit"]',
        '["body", "method"]',
        "put into: x-ott", "when: true: request.json.amount <= 10", "lets it leave with a fresh token",
    ):  # fmt: skip
        assert said in text, said
    assert "credential" not in text
    assert "eyJ" not in text


def test_an_explanation_of_a_request_that_stays_says_why() -> None:
    text = as_text(explained(verdicts()["came in"].rehearsed))
    assert "ott.direction: not said" in text
    assert "REFUSED: not_outbound" in text


def test_a_case_that_only_expects_an_unknown_word_of_tokens_is_a_mistake() -> None:
    with pytest.raises(DocumentError):
        suite_from(CASES.replace("tokens: refused", "tokens: gone"), "cases.yaml")


def _compared(old: str, new: str, **line: object) -> Comparison:
    recorded = {
        "outcome": "allow", "decision_id": "d", "method": "POST", "host": "wallet.api", "path": "/v1/wallets/7/debit",
        "route": "to-wallet", "attached": True, "audience": "wallet.api",
    } | line  # fmt: skip
    return compared(_policy(old), _policy(new), [recorded])


def _policy(text: str) -> Policy:
    return policy_from(text, "p.yaml")


@pytest.mark.parametrize(
    ("change", "now", "because"),
    [
        (("audience: wallet.api", "audience: ledger.api"), "another token", "to-wallet differs in audience"),
        (('["wallet:debit"]', '["wallet:read"]'), "another token", "to-wallet differs in scopes"),
        (("<= 10", "<= 9"), "unknown", "to-wallet differs in when"),
        (("[method, body]", "[method]"), "unknown", "to-wallet differs in bound_to_request"),
    ],
)
def test_a_comparison_names_what_another_token_would_be(change: tuple[str, str], now: str, because: str) -> None:
    [found] = _compared(POLICY, POLICY.replace(*change)).changes
    assert (found.now, found.certain, found.because) == (now, now == "another token", because)


CHECKING = POLICY.replace("    attach: one_time_token\n", "    credential: one_time_token\n")


def test_a_comparison_sees_a_route_change_sides() -> None:
    [found] = _compared(POLICY, CHECKING).changes
    assert (found.now, found.certain) == ("a token is asked for", True)
    [found] = _compared(CHECKING, POLICY).changes
    assert (found.now, found.certain, found.because) == ("a token is attached", False, "to-wallet attaches tokens now")
    assert _compared(POLICY, POLICY).same == 1


def test_the_audits_line_is_told_with_what_the_route_attaches() -> None:
    line = {"decision_id": "d", "outcome": "allow", "route": "to-wallet", "policy_revision": "r1", "attached": True}
    text = told(line, _policy(POLICY))
    assert "route to-wallet of revision r1 attaches a token" in text
    assert "scopes: wallet:debit" in text


SIGNING = POLICY.replace("    attach: one_time_token\n", "    attach: signed_request\n    sign: {key: to-wallet}\n")
for _key in ("audience: wallet.api", 'scopes: ["wallet:debit"]', "bound_to_request: [method, body]"):
    SIGNING = SIGNING.replace(f"    {_key}\n", "")
SIGNED_CASES = """
policy: policy.yaml
defaults:
  request:
    method: POST
    host: wallet.api
    path: /v1/wallets/7/debit
    json: {amount: 5}
    extensions: {ott.direction: outbound}
cases:
  - name: signed
    request: {headers: {x-signature: forged}}
    expect: {sign: to-wallet, step: allow, removes: [x-signature, x-ott]}
  - name: half a body
    request: {buffered: partial}
    expect: {reason: body_incomplete}
  - name: came in
    request: {extensions: {}}
    expect: {reason: not_outbound, step: attach}
  - name: another key
    expect: {sign: to-ledger}
  - name: no token
    expect: {attach: wallet.api}
"""


def signed_verdicts() -> dict[str, Verdict]:
    suite, _ = suite_from(SIGNED_CASES, "cases.yaml")
    policy = policy_from(SIGNING, "policy.yaml")
    return {case.name: verdict(case, asyncio.run(rehearse(case, suite, policy))) for case in suite.cases}


def test_cases_say_which_key_signs_and_what_keeps_a_request_from_leaving() -> None:
    failed = {name: found.differences for name, found in signed_verdicts().items() if found.differences}
    assert {name: [(one.what, one.seen) for one in found] for name, found in failed.items()} == {
        "another key": [("sign", "to-wallet")],
        "no token": [("attach", None)],
    }


def test_an_explanation_says_what_would_be_signed_and_with_which_key() -> None:
    text = as_text(explained(signed_verdicts()["signed"].rehearsed))
    for said in (
        "signed with the key: to-wallet", "components: those of the key's form", "body: signed",
        "lets it leave signed with the key to-wallet",
    ):  # fmt: skip
        assert said in text, said
    assert "audience" not in text


def test_a_comparison_sees_a_route_sign() -> None:
    [found] = _compared(CHECKING, SIGNING).changes
    assert (found.now, found.certain, found.because) == ("it is signed", False, "to-wallet signs now")
    [found] = _compared(SIGNING, SIGNING.replace("{key: to-wallet}", "{key: other}")).changes
    assert (found.now, found.because) == ("unknown", "to-wallet differs in sign")
    [found] = _compared(POLICY, SIGNING).changes
    assert "to-wallet differs in attach, sign" in found.because


def test_the_audits_line_is_told_with_the_key_that_signs() -> None:
    line = {"decision_id": "d", "outcome": "allow", "route": "to-wallet", "signing_key": "to-wallet"}
    text = told(line, _policy(SIGNING))
    assert "signing_key: to-wallet" in text
    assert "signs with the key to-wallet" in text
