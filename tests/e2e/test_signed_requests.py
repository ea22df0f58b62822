"""Webhooks through a real Envoy that buffers them: delivered once, whole, and only as they were signed."""

import hmac
import json
from secrets import token_hex

import pytest
from standardwebhooks import Webhook

from ott_extauthz.authn.partners import KeyAlgorithm, SignatureForm
from ott_extauthz.authn.webhooks.stamped import stamped_content, stamped_headers
from ott_extauthz.authn.webhooks.standard import standard_content, standard_headers
from tests.e2e.calling import Header
from tests.e2e.forge import now
from tests.e2e.policies import STANDARD_SECRET, WEBHOOK_SECRET
from tests.e2e.rig import Answer, Rig
from tests.e2e.servers import wait_until

pytestmark = pytest.mark.e2e

HOOKS, EVENTS, STRICT = "/v1/hooks", "/v1/events", "/v1/strict-events"


def event(name: str | None = None) -> bytes:
    return json.dumps({"event": {"id": name or token_hex(8)}, "amount": "12.50"}).encode()


def signed(body: bytes, nonce: str | None = None) -> list[Header]:
    stamp, nonce = str(int(now())), nonce or token_hex(16)
    mac = hmac.digest(WEBHOOK_SECRET, stamped_content(stamp, nonce, body), "sha256")
    return list(stamped_headers(SignatureForm.HMAC, stamp, nonce, mac))


def standard(body: bytes, name: str) -> list[Header]:
    stamp = str(int(now()))
    mac = hmac.digest(Webhook(STANDARD_SECRET)._whsecret, standard_content(name, stamp, body), "sha256")
    return list(standard_headers(name, stamp, (KeyAlgorithm.HMAC_SHA256, mac)))


def send(rig: Rig, headers: list[Header], body: bytes, target: str = HOOKS, *, listener: str = "shipped") -> Answer:
    return rig.call(listener=listener, target=target, host="hooks.api", headers=headers, body=body)


@pytest.fixture(autouse=True)
def vouched(rig: Rig) -> None:
    """A fresh used-list refuses what could have been sent, signed a little ahead, before it was there."""

    def is_let_in() -> bool:
        body = event()
        return send(rig, signed(body), body).status == 200

    wait_until(is_let_in, lambda: "no webhook is let in", 60)


@pytest.mark.parametrize("body", [event(), bytes(range(256)), b"x" * 65536])
def test_a_signed_body_is_delivered_whole_and_once(rig: Rig, body: bytes) -> None:
    headers = signed(body)
    delivery = send(rig, headers, body).delivery
    assert delivery.body == body
    names = {name for name, _ in delivery.headers}
    assert "x-signature" not in names
    assert {"x-nonce", "x-timestamp"} <= names
    assert ("x-ott-client", "psp") in delivery.headers
    again = send(rig, headers, body)
    assert (again.outcome, again.deliveries) == ((401, "signature_replayed"), [])
    elsewhere = send(rig, headers, body, STRICT)
    assert elsewhere.deliveries == []


def test_a_changed_a_partial_a_mangled_and_an_oversize_body_are_not_delivered(rig: Rig) -> None:
    body = event()
    for listener, sent, was_signed, outcome in (
        ("shipped", body.replace(b"12", b"92"), body, (401, "signature_invalid")),
        ("partial-body", b"x" * 200, b"x" * 64, (400, "body_incomplete")),
        ("string-body", b"\xff\x00", b"!\x00", (400, "body_not_binary_safe")),
        ("shipped", b"", b"", (400, "body_incomplete")),
        ("shipped", b"x" * 65537, b"x" * 65537, (413, None)),
    ):
        answer = send(rig, signed(was_signed), sent, listener=listener)
        assert (answer.outcome, answer.deliveries) == (outcome, [])


def test_a_header_twice_or_joined_is_not_delivered(rig: Rig) -> None:
    body = event()
    headers = signed(body)
    for listener in ("shipped", "merged"):
        for doubled in (headers[0], headers[2]):
            answer = send(rig, [*headers, doubled], body, listener=listener)
            assert (answer.status, answer.deliveries) == (400, [])


@pytest.mark.parametrize(("target", "status"), [(EVENTS, 200), (STRICT, 409)])
def test_an_event_that_is_signed_anew_is_answered_and_not_delivered(rig: Rig, target: str, status: int) -> None:
    body = event()
    assert send(rig, signed(body), body, target).delivery.body == body
    again = send(rig, signed(body), body, target)
    assert (again.outcome, again.deliveries) == ((status, "event_repeated"), [])


def test_a_standard_webhook_is_delivered_once_however_often_it_is_tried(rig: Rig) -> None:
    body, name = event(), f"msg_{token_hex(8)}"
    assert ("x-ott-client", "hook") in send(rig, standard(body, name), body).delivery.headers
    retry = send(rig, standard(body, name), body)
    assert (retry.outcome, retry.deliveries) == ((409, "event_repeated"), [])
