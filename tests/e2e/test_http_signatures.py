"""HTTP message signatures through a real Envoy: what it does to a request on the way, and what it takes out."""

from secrets import token_hex
from typing import Any

import pytest

from ott_extauthz.authn.partners import KeyAlgorithm
from tests.e2e.forge import now
from tests.e2e.rig import Answer, Rig
from tests.e2e.servers import wait_until
from tests.fakes.signed_requests import Sent, request, signed

pytestmark = pytest.mark.e2e

MESSAGES, EMPTY = "/v1/messages", "/v1/empty-messages"
BODY = bytes(range(256))
COVERED = ("@method", "@authority", "@path", "@query", "content-type", "content-digest")
PUBLIC = [each for each in KeyAlgorithm if each is not KeyAlgorithm.HMAC_SHA256]


def made(*components: str, target: str = MESSAGES, content: bytes | None = BODY, **more: Any) -> Sent:
    message = request(target, authority="hooks.api", headers=more.pop("headers", None), method="POST")
    told: dict[str, Any] = {"created": int(now()), "nonce": token_hex(16)} | more
    return signed(*(components or COVERED), message=message, content=content, **told)


def send(rig: Rig, sent: Sent, *, listener: str = "shipped", **changes: Any) -> Answer:
    lines = [(name, value) for name, values in sent.message.headers.items() for value in values]
    told: dict[str, Any] = {"target": sent.message.target, "body": sent.content, "host": "hooks.api", **changes}
    return rig.call(listener=listener, headers=lines, **told)


@pytest.fixture(autouse=True)
def vouched(rig: Rig) -> None:
    """A fresh used-list refuses what could have been sent, signed a little ahead, before it was there."""
    wait_until(lambda: send(rig, made()).status == 200, lambda: "no signed request is let in", 60)


@pytest.mark.parametrize("algorithm", PUBLIC)
def test_a_signed_request_is_delivered_once_without_its_signature(rig: Rig, algorithm: KeyAlgorithm) -> None:
    sent = made(*COVERED, "@target-uri", "@request-target", target=f"{MESSAGES}?a=1&b=%2f", algorithm=algorithm)
    delivery = send(rig, sent, host="HOOKS.api").delivery
    assert delivery.body == BODY
    names = {name for name, _ in delivery.headers}
    assert not names & {"signature", "signature-input"}
    assert {"content-digest", "x-ott-client"} <= names
    again = send(rig, sent)
    assert (again.outcome, again.deliveries) == ((401, "signature_replayed"), [])


def test_what_changes_on_the_way_is_not_delivered(rig: Rig) -> None:
    sent = made(target=f"{MESSAGES}?amount=5")
    changed: list[tuple[dict[str, Any], tuple[int, str]]] = [
        ({"target": f"{MESSAGES}?amount=500"}, (401, "signature_invalid")),
        ({"target": MESSAGES}, (401, "signature_invalid")),
        ({"body": BODY[::-1]}, (400, "content_digest_mismatch")),
        ({"body": b""}, (400, "body_incomplete")),
        ({"listener": "partial-body"}, (400, "body_incomplete")),
        ({"listener": "string-body"}, (400, "body_not_binary_safe")),
    ]
    for changes, outcome in changed:
        answer = send(rig, sent, **changes)
        assert (answer.outcome, answer.deliveries) == (outcome, [])
    assert send(rig, sent).status == 200


def test_the_path_is_signed_as_envoy_leaves_it(rig: Rig) -> None:
    assert send(rig, made(target="/v1/./messages")).outcome == (401, "signature_invalid")
    assert send(rig, made(target=MESSAGES), target="/v1/./messages").status == 200


def test_lines_are_kept_apart_where_envoy_sends_them_raw(rig: Rig) -> None:
    headers = {"content-type": "application/json", "x-line": ("a,b", "c")}
    sent = made(*COVERED, '"x-line";bs', "x-line", headers=headers)
    for listener, lines, outcome in (
        ("shipped", ("a", "b,c"), (401, "signature_invalid")),
        ("shipped", ("a,b", "c", "d"), (401, "signature_invalid")),
        ("merged", ("a,b", "c"), (401, "signature_invalid")),
    ):
        assert send(rig, sent.with_headers(x_line=lines), listener=listener).outcome == outcome
    assert send(rig, sent).status == 200


def test_a_signature_header_twice_is_not_delivered(rig: Rig) -> None:
    sent = made()
    for name in ("signature", "signature-input", "content-digest"):
        value = sent.message.headers[name][0]
        answer = send(rig, sent.with_headers(**{name.replace("-", "_"): (value, value)}))
        assert (answer.status, answer.deliveries) == (400, [])


def test_a_request_without_a_body_passes_where_the_route_says_that_it_may(rig: Rig) -> None:
    covered = ("@method", "@authority", "@path", "@query")
    assert send(rig, made(*covered, target=EMPTY, content=None)).status == 200
    answer = send(rig, made(*covered, target=EMPTY, content=None), body=BODY)
    assert (answer.outcome, answer.deliveries) == ((401, "signature_incomplete"), [])
