"""App A calls app B through two real Envoys: neither knows of tokens, and every call is made exactly once."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ed25519
from http_message_signatures import (
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    VerifyResult,
    algorithms,
)

from tests.e2e.attach_rig import (
    APP_A,
    DEBIT,
    HTTP_KEY,
    SIGNED,
    AttachRig,
    started_attach_rig,
    write_http_key,
)
from tests.e2e.rig import Answer
from tests.e2e.servers import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-attach")]


@pytest.fixture(scope="module")
def attach(envoy: Path) -> Iterator[AttachRig]:
    with started_attach_rig(envoy) as rig:
        yield rig


def test_neither_application_is_changed_and_the_call_arrives_with_an_identity(attach: AttachRig) -> None:
    delivery = attach.call().delivery
    assert delivery.all("x-ott") == []
    assert delivery.all("x-ott-subject") == [APP_A]
    assert delivery.all("x-ott-client") == ["app-a"]
    assert delivery.all("x-ott-scope") == ["wallet:debit"]


def test_every_call_has_a_token_of_its_own(attach: AttachRig) -> None:
    answers = [attach.call() for _ in range(5)]
    assert [answer.status for answer in answers] == [200] * 5
    assert len({answer.delivery.header("x-ott-token-id") for answer in answers}) == 5


def test_both_audits_name_the_same_token(attach: AttachRig) -> None:
    token_id = attach.call().delivery.header("x-ott-token-id")
    assert token_id is not None
    [sent], [came] = attach.audit("a", token_id), attach.audit("b", token_id)
    assert (sent["attached"], sent["outcome"], sent["audience"], sent["route"]) == (
        True,
        "allow",
        "wallet.api",
        "debit",
    )
    assert (came["attached"], came["token_state"], came["subject"]) == (None, "spent", APP_A)


@pytest.mark.parametrize("listener", ["egress", "retries"])
def test_a_token_or_an_identity_that_the_workload_sends_never_leaves(attach: AttachRig, listener: str) -> None:
    forged = [("x-ott", "forged"), ("X-Ott", "forged-too"), ("x-ott-subject", "admin"), ("x-ott-role", "root")]
    answer = attach.call(
        listener=listener, headers=[*forged, ("x-forwarded-client-cert", "URI=spiffe://bank.example/root")]
    )
    assert answer.status == 200
    assert answer.delivery.all("x-ott-subject") == [APP_A]
    assert answer.delivery.names.isdisjoint({"x-ott", "x-ott-role"})
    assert "root" not in (answer.delivery.header("x-forwarded-client-cert") or "")


def test_a_token_for_one_request_names_method_path_and_body(attach: AttachRig) -> None:
    body = b'{"amount": "5"}'
    answer = attach.call("/v1/wallets/w-17/bound", body=body)
    assert (answer.status, answer.delivery.body) == (200, body)


def test_a_body_that_nobody_saw_gets_no_token(attach: AttachRig) -> None:
    """Envoy says nothing about an empty body: whether there is none, or none was buffered, only the route may say."""
    answer = attach.call("/v1/wallets/w-17/bound", body=b"")
    assert answer.outcome == (400, "body_incomplete")
    assert answer.deliveries == []


def test_a_body_beyond_the_buffer_never_leaves(attach: AttachRig) -> None:
    answer = attach.call("/v1/wallets/w-17/bound", body=b"x" * 70_000)
    assert (answer.status, answer.deliveries) == (413, [])


def test_without_envoys_word_that_it_leaves_a_request_gets_no_token(attach: AttachRig) -> None:
    """An inbound listener on the same server: another service's name in Host must not be a way past the check."""
    answer = attach.call(listener="no-direction")
    assert answer.outcome == (403, "not_outbound")
    assert answer.deliveries == []


def test_what_no_route_attaches_for_does_not_leave(attach: AttachRig) -> None:
    assert attach.call("/v1/else").outcome == (403, "route_unknown")
    assert attach.call(host="evil.api").outcome == (403, "route_unknown")
    assert attach.call(headers=[("x-frozen", "1")]).outcome == (403, "condition_not_met")


def test_a_workload_gets_no_more_than_its_grant(attach: AttachRig) -> None:
    answer = attach.call("/v1/refused")
    assert answer.outcome == (503, "token_source_refused")
    assert answer.reply.header("retry-after") == "1"
    assert answer.deliveries == []


def test_a_token_bound_to_the_workload_needs_no_certificate(attach: AttachRig) -> None:
    delivery = attach.call("/v1/workload", listener="egress-workload").delivery
    assert delivery.all("x-ott-subject") == [APP_A]


def test_a_token_bound_to_the_workload_is_none_of_the_certificates_route(attach: AttachRig) -> None:
    answer = attach.call(listener="egress-workload")
    assert answer.outcome == (401, "token_unbound")


def test_a_retry_behind_the_filter_sends_the_same_token_twice(attach: AttachRig) -> None:
    """What `retry_on: 5xx` does: the service did it once, the second try is a replay, and the caller is told so."""
    answer = attach.call(listener="naive-retries", headers=[("x-answer", "503,200")])
    assert answer.outcome == (401, "token_replayed")
    assert len(answer.deliveries) == 1


def test_a_retry_before_the_filter_is_a_check_and_a_token_of_its_own(attach: AttachRig) -> None:
    answer = attach.call(listener="retries", headers=[("x-answer", "503,200")])
    assert answer.status == 200
    assert len(answer.deliveries) == 2
    assert len({delivery.header("x-ott-token-id") for delivery in answer.deliveries}) == 2


def test_a_retry_of_what_never_arrived_uses_the_token_that_is_still_unspent(attach: AttachRig) -> None:
    before = attach.stats("cluster.half-away.upstream_rq_retry$")
    answers = [attach.call(listener="half-away") for _ in range(6)]
    assert [answer.status for answer in answers] == [200] * 6
    assert all(len(answer.deliveries) == 1 for answer in answers)
    after = attach.stats("cluster.half-away.upstream_rq_retry$")
    assert after["cluster.half-away.upstream_rq_retry"] > before.get("cluster.half-away.upstream_rq_retry", 0)


def test_no_token_is_ever_written_down(attach: AttachRig) -> None:
    """Log, audit, dynamic metadata in Envoy's access log, metrics: a token starts with its header's text."""
    assert attach.call().status == 200
    assert attach.call(listener="retries", target=DEBIT).status == 200
    written = attach.everything_written()
    assert "attached_audience" in written
    assert "ott_tokens_attached_total" in written
    assert "eyJ" not in written


def test_the_issuer_is_asked_as_the_workload(attach: AttachRig) -> None:
    delivery = attach.call(listener="issued").delivery
    assert delivery.all("x-ott-subject") == [APP_A]
    body = b'{"amount": "5"}'
    assert attach.call("/v1/wallets/w-17/bound", listener="issued", body=body).status == 200
    assert attach.call("/v1/refused", listener="issued").outcome == (503, "token_source_refused")


def test_the_issuer_binds_to_the_workload_where_the_mesh_has_a_certificate_of_its_own(attach: AttachRig) -> None:
    """The certificate that the issuer was asked with never meets Envoy B; only its SPIFFE ID does."""
    delivery = attach.call("/v1/workload", listener="issued-workload").delivery
    assert delivery.all("x-ott-subject") == [APP_A]
    assert attach.call(listener="issued-workload").outcome == (401, "token_unbound")


def test_without_an_issuer_nothing_leaves_and_envoy_is_told_in_time(attach: AttachRig) -> None:
    attach.stop_issuer()
    try:
        calls = (attach.call(listener="issued-in-time") for _ in range(200))
        # What is left in the pool is still good; an answer without a reason is Envoy's own, whose time was over.
        refused = list(itertools.islice((answer for answer in calls if answer.reason is not None), 3))
    finally:
        attach.start_issuer()
    assert [answer.outcome for answer in refused] == [(503, "token_source_unavailable")] * 3
    assert [answer.reply.header("retry-after") for answer in refused] == ["1"] * 3
    assert [answer.deliveries for answer in refused] == [[], [], []]
    wait_until(lambda: attach.call(listener="issued").status == 200, lambda: "no call passes with the issuer back")


def _until_rotated(attach: AttachRig, listener: str, server: str) -> list[tuple[int, str | None]]:
    """Give app A a new certificate and call until tokens name it; return how the calls ended."""
    new, seen = attach.rotate(), ""
    outcomes: list[tuple[int, str | None]] = []

    def is_rotated() -> bool:
        nonlocal seen
        answer = attach.call(listener=listener)
        outcomes.append(answer.outcome)
        decision = answer.reply.header("x-ott-decision-id") or answer.deliveries[0].header("x-ott-decision-id")
        [line] = attach.audit("b", decision or "none")
        seen = line["peer_certificate"] if answer.status == 200 else seen
        return seen == new or answer.status != 200

    wait_until(is_rotated, lambda: f"{listener}, {server}: no call with the new certificate, {outcomes[-3:]}")
    outcomes += [attach.call(listener=listener).outcome for _ in range(5)]
    return outcomes


@pytest.mark.parametrize(("listener", "server"), [("egress", "a"), ("retries", "a"), ("issued", "g")])
def test_a_new_certificate_is_followed_without_a_refused_call(attach: AttachRig, listener: str, server: str) -> None:
    """Each certificate's tokens go over connections of their own, so none of them meets another certificate."""
    outcomes = _until_rotated(attach, listener, server)
    assert set(outcomes) == {(200, None)}


def test_without_connections_for_each_certificate_a_rotation_refuses_calls(attach: AttachRig) -> None:
    """What set_filter_state in attach.yaml is for: a connection shows the certificate it was opened with, for good."""
    wait_until(lambda: attach.call(listener="one-pool").status == 200, lambda: "no call passes at first")
    assert set(_until_rotated(attach, "one-pool", "a")[-5:]) == {(401, "certificate_mismatch")}


@pytest.mark.parametrize("listener", ["egress-workload", "issued-workload"])
def test_a_token_bound_to_the_workload_outlives_the_certificate(attach: AttachRig, listener: str) -> None:
    attach.rotate()
    calls = [attach.call("/v1/workload", listener=listener).outcome for _ in range(5)]
    assert set(calls) == {(200, None)}


def _until_let_in(attach: AttachRig, name: str) -> Answer:
    """A fresh used-list refuses what could have been sent, signed a little ahead, before it was there."""
    answers: list[Answer] = []

    def is_let_in() -> bool:
        answers.append(attach.call(SIGNED[name], listener="signed", body=b'{"paid": "5"}\xff'))
        return answers[-1].status == 200

    wait_until(is_let_in, lambda: f"{name} is not let in: {answers[-1].outcome}")
    return answers[-1]


@pytest.mark.parametrize("name", ["hmac", "standard"])
def test_what_one_envoy_has_signed_the_other_verifies(attach: AttachRig, name: str) -> None:
    delivery = _until_let_in(attach, name).delivery
    assert delivery.all("x-ott-client") == ["app-a"]
    assert delivery.body == b'{"paid": "5"}\xff'
    assert delivery.names.isdisjoint({"x-signature", "webhook-signature"})
    sent = next(line for line in attach.audit("s", "signing_key") if line["signing_key"] == name)
    assert (sent["outcome"], sent["signature_form"]) == ("allow", {"hmac": "hmac"}.get(name, "standard_webhooks"))


def test_a_signature_that_the_workload_forges_is_replaced(attach: AttachRig) -> None:
    _until_let_in(attach, "hmac")
    forged = [("x-signature", "sha256=Zm9yZ2Vk"), ("x-nonce", "0123456789abcdef"), ("webhook-signature", "v1,Zm9yZ2Vk")]
    delivery = attach.call(SIGNED["hmac"], listener="signed", headers=forged).delivery
    assert delivery.header("x-nonce") != "0123456789abcdef"
    assert "webhook-signature" not in delivery.names


@pytest.mark.parametrize(
    ("name", "outcome"), [("hmac", (401, "signature_replayed")), ("standard", (409, "event_repeated"))]
)
def test_a_copy_of_a_signed_request_is_delivered_once(attach: AttachRig, name: str, outcome: tuple[int, str]) -> None:
    """What a retry behind the filter sends: the very same signature again."""
    _until_let_in(attach, name)
    answer = attach.call(SIGNED[name], listener="signed-naive", headers=[("x-answer", "503,200")])
    assert answer.outcome == outcome
    assert len(answer.deliveries) == 1


def test_what_is_not_whole_is_not_signed(attach: AttachRig) -> None:
    answer = attach.call(SIGNED["hmac"], listener="signed", body=b"")
    assert (answer.outcome, answer.deliveries) == ((400, "body_incomplete"), [])
    assert attach.call(SIGNED["hmac"], listener="signed", body=b"x" * 70_000).status == 413


class _AppA(HTTPSignatureKeyResolver):
    def __init__(self, key: ed25519.Ed25519PrivateKey) -> None:
        self._key = key

    def resolve_public_key(self, key_id: str) -> ed25519.Ed25519PublicKey:
        assert key_id == "app-a"
        return self._key.public_key()


def _verified(attach: AttachRig, key: ed25519.Ed25519PrivateKey) -> VerifyResult:
    """Call, and have a foreign program verify what arrives behind both Envoys."""
    target = SIGNED["http"] + "?b=2&a=%20"
    delivery = attach.call(target, listener="signed", headers=[("signature", "forged=:AAAA:")], body=b"{}").delivery
    assert delivery.target == target
    headers = {name: delivery.header(name) or "" for name in ("signature", "signature-input", "content-digest")}
    message = requests.Request("POST", f"https://wallet.api{target}", headers=headers, data=delivery.body).prepare()
    [found] = HTTPMessageVerifier(signature_algorithm=algorithms.ED25519, key_resolver=_AppA(key)).verify(message)
    return found


def test_an_http_message_signature_holds_for_what_arrives(attach: AttachRig) -> None:
    found = _verified(attach, HTTP_KEY)
    assert found.parameters["keyid"] == "app-a"
    assert set(found.covered_components) >= {'"@authority"', '"@path"', '"@query"', '"content-digest"'}


def test_a_new_key_signs_without_a_restart(attach: AttachRig) -> None:
    def has_turned_to(key: ed25519.Ed25519PrivateKey) -> bool:
        try:
            return bool(_verified(attach, key).parameters)
        except InvalidSignature:
            return False

    new = ed25519.Ed25519PrivateKey.generate()
    with pytest.raises(InvalidSignature):
        _verified(attach, new)
    for key in (new, HTTP_KEY):
        write_http_key(attach.folder, key)
        wait_until(lambda key=key: has_turned_to(key), lambda: "the new key never signs")  # type: ignore[misc]
