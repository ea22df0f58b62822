"""What a refused client, the upstream, and Envoy's access log are told; and what nobody is told."""

import re

import pytest

from tests.e2e import policies
from tests.e2e.forge import Forge
from tests.e2e.rig import VICTIM, Rig

pytestmark = pytest.mark.e2e

DECISION_ID = re.compile(r"[0-9a-f]{32}")


def test_a_refusal_is_a_problem_document(rig: Rig) -> None:
    """RFC 9457, with the members a machine acts on."""
    answer = rig.call(token=rig.good(), caller="thief")
    problem = answer.reply.json
    assert answer.reply.header("content-type") == "application/problem+json"
    assert set(problem) == {"type", "title", "status", "code", "decision_id", "token_state"}
    assert problem["status"] == answer.status == 401
    assert problem["code"] == "AUTH_FAILED"
    assert problem["token_state"] == "unspent"
    assert DECISION_ID.fullmatch(problem["decision_id"])
    assert answer.reply.all("x-ott-decision-id") == [problem["decision_id"]]
    assert answer.reply.header("cache-control") == "no-store"


def test_where_no_token_took_part_none_has_a_state(rig: Rig) -> None:
    assert "token_state" not in rig.call().reply.json


@pytest.mark.parametrize(
    ("token_claims", "error"), [(None, None), ({"exp": 1}, "invalid_token"), ({"scope": "x"}, "insufficient_scope")]
)
def test_there_is_exactly_one_challenge(rig: Rig, token_claims: dict[str, object] | None, error: str | None) -> None:
    """RFC 6750 section 3: no error code where nothing was presented; the scope where that is what lacks."""
    answer = rig.call(token=None if token_claims is None else rig.good(**token_claims))
    challenges = answer.reply.all("www-authenticate")
    assert len(challenges) == 1
    assert challenges[0].startswith('OTT realm="wallet.api"')
    assert re.findall(r'error="([^"]*)"', challenges[0]) == ([error] if error else [])
    assert ('scope="wallet:debit"' in challenges[0]) == (error == "insufficient_scope")


@pytest.mark.parametrize("target", ["/v1/wallets/%2e%2e;/debit", "/admin"])
def test_where_a_token_would_not_help_there_is_no_challenge(rig: Rig, target: str) -> None:
    assert rig.call(token=rig.good(), target=target).reply.all("www-authenticate") == []


@pytest.mark.parametrize("make_reason", ["certificate_mismatch", "token_replayed", "scope_missing"])
def test_the_body_tells_the_family_and_never_the_exact_reason(rig: Rig, make_reason: str) -> None:
    token = rig.good(scope=None) if make_reason == "scope_missing" else rig.good()
    if make_reason == "token_replayed":
        rig.call(token=token)
    answer = rig.call(token=token, caller="thief" if make_reason == "certificate_mismatch" else "rgs")
    assert answer.reason == make_reason
    assert make_reason.encode() not in answer.reply.body


def test_without_expose_reasons_no_header_tells_the_reason(rig: Rig) -> None:
    rig.victim()
    answer = rig.call(listener=VICTIM)
    assert (answer.status, answer.reason) == (401, None)
    assert answer.reply.code == "AUTH_FAILED"
    assert rig.access_log(answer.case)[0]["ott"]["reason"] == "credential_missing"


def test_head_gets_the_refusals_headers_without_its_body(rig: Rig) -> None:
    refused = rig.call(method="HEAD", target="/v1/wallets/w-17")
    assert refused.outcome == (401, "credential_missing")
    assert refused.reply.body == b""
    assert int(refused.reply.header("content-length") or 0) > 0
    assert rig.call(method="HEAD", target="/v1/wallets/w-17", token=rig.good()).status == 200


# --- dynamic metadata, as operators see it in Envoy's access log


def test_the_access_log_names_the_decision_of_an_allowed_call(rig: Rig) -> None:
    answer = rig.call(token=rig.good())
    [line] = rig.access_log(answer.case)
    decided = line["ott"]
    assert decided["decision_id"] == answer.delivery.header("x-ott-decision-id")
    assert decided["route"] == "wallet-debit"
    assert decided["policy_revision"] == policies.REVISION
    assert decided["subject"] == "player-4711"
    assert decided["client_id"] == "rgs"
    assert decided["token_id"] == answer.delivery.header("x-ott-token-id")
    assert decided["ext_authz_duration"] >= 0


def test_the_access_log_names_the_decision_and_reason_of_a_refused_call(rig: Rig) -> None:
    answer = rig.call(token=rig.good(), caller="thief")
    [line] = rig.access_log(answer.case)
    assert line["ott"]["reason"] == "certificate_mismatch"
    assert line["ott"]["decision_id"] == answer.reply.header("x-ott-decision-id")
    assert line["ott"]["route"] == "wallet-debit"
    assert line["status"] == 401
    assert line["flags"] == "UAEX"


def test_the_access_log_holds_no_token_and_no_query(rig: Rig) -> None:
    token = rig.good()
    answer = rig.call(token=token, target="/v1/wallets/w-17/debit?password=hunter2")
    text = str(rig.access_log(answer.case))
    assert token not in text
    assert token.split(".")[1] not in text
    assert "hunter2" not in text


def test_the_token_id_told_is_not_the_jti(rig: Rig) -> None:
    claims = rig.forge.claims()
    answer = rig.call(token=rig.forge.signed(claims))
    told = answer.delivery.header("x-ott-token-id")
    assert told
    assert claims["jti"] not in str(answer.delivery) + str(rig.access_log(answer.case))


def test_the_audit_the_log_and_the_client_agree_on_a_decision(rig: Rig) -> None:
    answer = rig.call(token=rig.good(), caller="thief")
    decision_id = answer.reply.header("x-ott-decision-id") or "none"
    [record] = rig.audit(decision_id)
    assert record["reason"] == rig.access_log(answer.case)[0]["ott"]["reason"] == answer.reason
    assert record["route"] == "wallet-debit"


# --- text from tokens that ends up in headers


@pytest.mark.parametrize("listener", ["shipped", "unvalidated"])
@pytest.mark.parametrize("subject", ["Zoë", "日本", 'a"b\\c', "a,b;c=d", "%0d%0ax-inj: 1", " padded "])
def test_a_subject_arrives_as_one_header_value_whatever_it_holds(rig: Rig, listener: str, subject: str) -> None:
    answer = rig.call(listener=listener, token=rig.good(sub=subject))
    assert answer.status == 200
    assert len(answer.delivery.all("x-ott-subject")) == 1
    assert answer.delivery.header("x-inj") is None


@pytest.mark.parametrize("listener", ["shipped", "unvalidated"])
@pytest.mark.parametrize("claim", ["sub", "client_id", "txn", "scope", "jti", "iss"])
def test_cr_and_lf_in_a_claim_split_nothing(rig: Rig, listener: str, claim: str) -> None:
    """With ``validate_mutations: false`` Envoy would put the second line on the wire as a header of its own."""
    token = rig.good(**{claim: "wallet:debit\r\nx-inj: 1"})
    answer = rig.call(listener=listener, token=token)
    assert answer.status in (401, 403)
    assert answer.reply.header("x-inj") is None
    assert answer.deliveries == []


def test_two_subjects_never_share_one_header_value(rig: Rig) -> None:
    seen = {rig.call(token=rig.good(sub=sub)).delivery.header("x-ott-subject") for sub in ("Zoë", "Zo%C3%AB", "Zo?")}
    assert len(seen) == 3


def test_a_refusal_of_a_strangers_token_tells_nothing_about_it(rig: Rig) -> None:
    token = Forge(rig.forge.x5t_s256).token(sub="somebody")
    answer = rig.call(token=token)
    assert b"somebody" not in answer.reply.body
    assert "subject" not in rig.access_log(answer.case)[0]["ott"]
