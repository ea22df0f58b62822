"""An HTTP message signature is good for one delivery of the request that it was made for."""

import asyncio
import base64
import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from ott_extauthz.authn.http_signatures.content_digest import content_digest
from ott_extauthz.authn.partners import KeyAlgorithm, SharedSecret, SignatureForm
from ott_extauthz.check.credentials.http_signatures import HTTP_SIGNATURES
from ott_extauthz.check.credentials.signed_requests import SignedRequestCredential
from ott_extauthz.check.credentials.webhooks import WEBHOOKS
from ott_extauthz.model.body import NO_BODY, Body
from ott_extauthz.model.decision import Allow, Decision, Deny
from ott_extauthz.model.reason import Reason
from ott_extauthz.policy.routes import CredentialKind
from tests.fakes.desk import Desk
from tests.fakes.partners import partner as partner_in
from tests.fakes.signed_requests import BODY, Sent, key_of, partner, request, signed

POLICY = """
revision: "r1"
routes:
  - name: pay
    match: {hosts: [pay.example, "pay.example:8443"], path: /v1/pay}
    credential: signed_request
    signed_request: {window: 60s, ahead: 10s}
  - name: again
    match: {hosts: [pay.example], path: /v1/again}
    credential: signed_request
  - name: theirs
    match: {hosts: [pay.example], path: /v1/theirs}
    credential: signed_request
    signed_request: {partners: [other]}
  - name: branded
    match: {hosts: [pay.example], path: /v1/branded}
    credential: signed_request
    signed_request: {components: [content-type, '"@query-param";name="id"', '"x-brand";bs'], tag: payments}
  - name: events
    match: {hosts: [pay.example], path: /v1/events}
    credential: signed_request
    signed_request: {event: {header: x-event}}
  - name: bodies
    match: {hosts: [pay.example], path: /v1/bodies}
    credential: signed_request
    signed_request: {event: {pointer: /amount}}
  - name: empty-events
    match: {hosts: [pay.example], path: /v1/empty-events}
    credential: signed_request
    signed_request: {event: {pointer: /amount}}
    allow_unbuffered_empty: true
  - name: read
    match: {hosts: [pay.example], methods: [GET], path: /v1/read}
    credential: signed_request
    allow_unbuffered_empty: true
"""
HMAC_PARTNER = partner_in("hooks", SignatureForm.HMAC, SharedSecret(secret=bytes(24)))
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Payments(Desk):
    """A desk that partners send signed requests to."""

    def __init__(self) -> None:
        other = partner(key_of(KeyAlgorithm.HMAC_SHA256, "theirs"), name="other")
        self.partners = {each.name: each for each in (partner(), other, HMAC_PARTNER)}
        credential = SignedRequestCredential(partners=lambda: self.partners, verifiers={**WEBHOOKS, **HTTP_SIGNATURES})
        super().__init__(policy=POLICY, more={CredentialKind.SIGNED_REQUEST: credential})
        self.clock.advance(600_000)  # past what a list that was just made cannot vouch for

    @property
    def now(self) -> int:
        return self.clock.now_ms() // 1000

    def signed(
        self, path: str = "/v1/pay", *components: str, headers: Mapping[str, str] | None = None, **more: Any
    ) -> Sent:
        given = {"content-type": "application/json", **(headers or {})}
        message = request(path, headers=given, method=more.pop("method", "POST"))
        return signed(*components, message=message, **({"created": self.now} | more))

    async def send(self, sent: Sent, *, host: str | None = None, body: Body | None = None, **changes: Any) -> Decision:
        lines = [(name, value) for name, values in sent.message.headers.items() for value in values]
        facts = self.facts(*lines, path=sent.message.target, method=sent.message.method, host=host or "pay.example")
        body = body or Body(sent.content, is_complete=True)
        return await self.ask(dataclasses.replace(facts, body=body, **changes))

    async def refused(self, sent: Sent, **changes: Any) -> Reason:
        decision = await self.send(sent, **changes)
        assert isinstance(decision, Deny)
        return decision.reason

    async def let_in(self, sent: Sent, **changes: Any) -> Allow:
        decision = await self.send(sent, **changes)
        assert isinstance(decision, Allow), decision
        return decision


@pytest.mark.parametrize("algorithm", KeyAlgorithm)
async def test_a_signed_request_is_let_in_once_without_its_signature(algorithm: KeyAlgorithm) -> None:
    desk = Payments()
    sent = desk.signed("/v1/pay?id=7", algorithm=algorithm)
    allow = await desk.let_in(sent)
    assert allow.spent is not None
    assert allow.spent.token.client_id == "acme-client"
    assert {"signature", "signature-input"} <= set(allow.headers_to_remove)
    assert "content-digest" not in allow.headers_to_remove
    assert await desk.refused(sent) is Reason.SIGNATURE_REPLAYED


async def test_of_twenty_at_once_one_is_let_in() -> None:
    desk = Payments()
    sent = desk.signed()
    decisions = await asyncio.gather(*(desk.send(sent) for _ in range(20)))
    assert sum(isinstance(each, Allow) for each in decisions) == 1


@pytest.mark.parametrize("nonce", ["n-0123456789abcdef", None])
async def test_the_twin_of_an_ecdsa_signature_is_a_replay(nonce: str | None) -> None:
    desk = Payments()
    sent = desk.signed(algorithm=KeyAlgorithm.ECDSA_P256_SHA256, nonce=nonce)
    raw = base64.b64decode(sent.message.headers["signature"][0].removeprefix("ott=:").removesuffix(":"))
    twin = raw[:32] + (ORDER - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    await desk.let_in(sent)
    again = sent.with_headers(signature=f"ott=:{base64.b64encode(twin).decode()}:")
    assert await desk.refused(again) is Reason.SIGNATURE_REPLAYED


async def test_without_a_nonce_two_equal_requests_of_one_second_are_one() -> None:
    desk = Payments()
    await desk.let_in(desk.signed(nonce=None, algorithm=KeyAlgorithm.RSA_PSS_SHA512))
    assert (
        await desk.refused(desk.signed(nonce=None, algorithm=KeyAlgorithm.RSA_PSS_SHA512)) is Reason.SIGNATURE_REPLAYED
    )
    desk.clock.advance(1000)
    await desk.let_in(desk.signed(nonce=None, algorithm=KeyAlgorithm.RSA_PSS_SHA512))


async def test_a_nonce_counts_for_the_partner_whatever_its_key_and_request() -> None:
    desk = Payments()
    await desk.let_in(desk.signed(nonce="n" * 16))
    assert await desk.refused(desk.signed("/v1/again", nonce="n" * 16, algorithm=KeyAlgorithm.HMAC_SHA256)) is (
        Reason.SIGNATURE_REPLAYED
    )


@pytest.mark.parametrize(
    ("offset", "is_taken"), [(0, True), (-60, True), (-61, False), (10, True), (11, False), (-86_400, False)]
)
async def test_the_window_is_the_routes(offset: int, *, is_taken: bool) -> None:
    desk = Payments()
    desk.clock.advance(-desk.clock.now_ms() % 1000)
    decision = await desk.send(desk.signed(created=desk.now + offset))
    assert isinstance(decision, Allow) is is_taken
    if isinstance(decision, Deny):
        assert decision.reason is Reason.SIGNATURE_TIME_REFUSED


async def test_a_signature_ends_when_it_says_so() -> None:
    desk = Payments()
    sent = desk.signed(expires=desk.now + 5)
    desk.clock.advance(6001)
    assert await desk.refused(sent) is Reason.SIGNATURE_TIME_REFUSED
    await desk.let_in(desk.signed(expires=desk.now + 5))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (NO_BODY, Reason.BODY_INCOMPLETE),
        (Body(BODY, is_complete=False), Reason.BODY_INCOMPLETE),
        (Body(BODY[:5], is_complete=False), Reason.BODY_INCOMPLETE),
        (Body(BODY, is_complete=True, is_binary_safe=False), Reason.BODY_NOT_BINARY_SAFE),
        (Body(BODY[:5], is_complete=True), Reason.CONTENT_DIGEST_MISMATCH),
        (Body(b"", is_complete=True), Reason.CONTENT_DIGEST_MISMATCH),
    ],
)
async def test_a_body_that_nobody_vouches_for_or_another_is_refused(body: Body, reason: Reason) -> None:
    desk = Payments()
    sent = desk.signed()
    assert await desk.refused(sent, body=body) is reason
    await desk.let_in(sent)


async def test_a_request_without_a_body_needs_the_routes_word_that_nobody_else_reads_one() -> None:
    desk = Payments()
    covered = ("@method", "@authority", "@path")
    bare = desk.signed("/v1/read", *covered, content=None, method="GET")
    await desk.let_in(bare, body=NO_BODY)
    assert await desk.refused(desk.signed("/v1/pay", *covered, content=None), body=NO_BODY) is Reason.BODY_INCOMPLETE
    smuggled = desk.signed("/v1/read", *covered, content=None, method="GET", nonce="m" * 16)
    assert await desk.refused(smuggled, body=Body(b"{}", is_complete=True)) is Reason.SIGNATURE_INCOMPLETE
    wrong = smuggled.with_headers(content_digest=content_digest(b"{}"))
    assert await desk.refused(wrong, body=NO_BODY) is Reason.CONTENT_DIGEST_MISMATCH


@pytest.mark.parametrize("host", ["PAY.example", "pay.example:443", "pay.example."])
async def test_the_authority_is_the_canonical_host(host: str) -> None:
    desk = Payments()
    await desk.let_in(desk.signed(), host=host)


async def test_a_request_to_another_authority_does_not_hold() -> None:
    desk = Payments()
    assert await desk.refused(desk.signed(), host="pay.example:8443") is Reason.SIGNATURE_INVALID


async def test_the_scheme_is_what_envoy_says() -> None:
    desk = Payments()
    sent = desk.signed("/v1/pay", "@method", "@target-uri", "content-digest")
    assert await desk.refused(sent, scheme="http") is Reason.SIGNATURE_INVALID
    await desk.let_in(sent)


async def test_the_path_counts_as_it_stands_and_not_in_its_canonical_spelling() -> None:
    desk = Payments()
    sent = desk.signed("/v1/pay")
    assert await desk.refused(sent.with_(target="/v1/%70ay")) is Reason.SIGNATURE_INVALID
    await desk.let_in(desk.signed("/v1/%70ay"))


async def test_a_route_of_another_partner_knows_no_such_key() -> None:
    desk = Payments()
    assert await desk.refused(desk.signed("/v1/theirs")) is Reason.SIGNATURE_KEY_UNKNOWN
    await desk.let_in(desk.signed("/v1/theirs", algorithm=KeyAlgorithm.HMAC_SHA256, keyid="theirs"))


async def test_a_partner_that_is_taken_out_stops_at_once() -> None:
    desk = Payments()
    sent = desk.signed()
    del desk.partners["acme"]
    assert await desk.refused(sent) is Reason.SIGNATURE_KEY_UNKNOWN


BRANDED = ("@method", "@authority", "@path", "@query", "content-digest")
ASKED = ("content-type", '"@query-param";name="id"', '"x-brand";bs')


async def test_a_route_adds_to_what_must_be_covered() -> None:
    desk = Payments()
    told: dict[str, Any] = {"headers": {"x-brand": "A"}, "tag": "payments"}
    await desk.let_in(desk.signed("/v1/branded?id=7", *BRANDED, *ASKED, **told))
    for left_out in ASKED:
        kept = [each for each in ASKED if each != left_out]
        sent = desk.signed("/v1/branded?id=7", *BRANDED, *kept, nonce="m" * 16, **told)
        assert await desk.refused(sent) is Reason.SIGNATURE_INCOMPLETE
    untagged = desk.signed("/v1/branded?id=7", *BRANDED, *ASKED, headers={"x-brand": "A"}, nonce="m" * 16)
    assert await desk.refused(untagged) is Reason.SIGNATURE_INCOMPLETE


async def test_a_second_line_of_a_covered_header_breaks_the_signature() -> None:
    desk = Payments()
    sent = desk.signed("/v1/branded?id=7", *BRANDED, *ASKED, headers={"x-brand": "A"}, tag="payments")
    assert await desk.refused(sent.with_headers(x_brand=("A", "B"))) is Reason.SIGNATURE_INVALID


async def test_an_event_is_believed_only_where_its_header_or_the_body_is_covered() -> None:
    desk = Payments()
    told = {"headers": {"x-event": "e-1"}}
    assert await desk.refused(desk.signed("/v1/events", **told)) is Reason.SIGNATURE_INCOMPLETE
    await desk.let_in(desk.signed("/v1/events", *BRANDED, "x-event", **told, nonce="1" * 16))
    assert await desk.refused(desk.signed("/v1/events", *BRANDED, "x-event", **told, nonce="2" * 16)) is (
        Reason.EVENT_REPEATED
    )
    member = {"headers": {"x-event": "a=1, b=2"}}
    assert await desk.refused(desk.signed("/v1/events", *BRANDED, '"x-event";key="a"', **member, nonce="3" * 16)) is (
        Reason.SIGNATURE_INCOMPLETE
    )
    bare = desk.signed("/v1/empty-events", "@method", "@authority", "@path", content=None)
    assert await desk.refused(bare, body=NO_BODY) is Reason.SIGNATURE_INCOMPLETE
    await desk.let_in(desk.signed("/v1/bodies", nonce="4" * 16))
    assert await desk.refused(desk.signed("/v1/bodies", nonce="5" * 16)) is Reason.EVENT_REPEATED


@pytest.mark.parametrize("header", ["signature", "signature_input"])
async def test_half_a_signature_is_none(header: str) -> None:
    desk = Payments()
    assert await desk.refused(desk.signed().with_headers(**{header: None})) is Reason.SIGNATURE_MALFORMED


async def test_no_signature_is_a_missing_credential() -> None:
    desk = Payments()
    bare = desk.signed().with_headers(signature=None, signature_input=None)
    assert await desk.refused(bare) is Reason.CREDENTIAL_MISSING


async def test_signed_in_two_forms_is_two_credentials() -> None:
    desk = Payments()
    both = desk.signed().with_headers(x_signature="sha256=AAAA", x_timestamp=str(desk.now), x_nonce="n" * 16)
    assert await desk.refused(both) is Reason.CREDENTIAL_DUPLICATED


async def test_a_forged_copy_spends_nothing() -> None:
    desk = Payments()
    sent = desk.signed()
    forged = sent.with_headers(signature="ott=:AAAA:")
    assert await desk.refused(forged) is Reason.SIGNATURE_INVALID
    await desk.let_in(sent)
