"""Which requests leave signed, over what, and what keeps one from leaving."""

import base64
import hashlib
import hmac
from dataclasses import replace

import pytest

from ott_extauthz.authn.partners import KeyAlgorithm, Partner, SharedSecret, SignatureForm
from ott_extauthz.check.attaching import Attaching
from ott_extauthz.check.credentials.signed_requests import SignedRequestCredential
from ott_extauthz.check.credentials.webhooks import WEBHOOKS
from ott_extauthz.check.signing_out import Signing
from ott_extauthz.model.body import Body
from ott_extauthz.model.decision import Allow, AttachedSignature, Decision, Deny
from ott_extauthz.model.reason import Reason
from ott_extauthz.observe.audit import line_from
from ott_extauthz.policy.routes import CredentialKind
from ott_extauthz.wire.encode import answer_headers, response_from
from tests.fakes.desk import Desk
from tests.fakes.signing import SECRET, signing_key

POLICY = """
revision: "r1"
routes:
  - name: hmac
    match: {methods: [POST], path: /v1/hmac}
    attach: signed_request
    sign: {key: by-hmac}
    deny_when: '"x-frozen" in request.headers'
  - name: empty
    match: {path: /v1/empty}
    attach: signed_request
    sign: {key: by-hmac}
    allow_unbuffered_empty: true
  - name: eddsa
    match: {methods: [POST], path: /v1/eddsa}
    attach: signed_request
    sign: {key: by-eddsa}
  - name: standard
    match: {methods: [POST], path: /v1/standard}
    attach: signed_request
    sign: {key: by-standard}
  - name: kept
    match: {methods: [POST], path: /v1/kept}
    attach: signed_request
    sign: {key: by-standard, keep_id: true}
  - name: http
    match: {path: /v1/http}
    attach: signed_request
    sign: {key: by-http}
  - name: chosen
    match: {path: /v1/chosen}
    attach: signed_request
    sign: {key: by-http, components: ["@method", "@path", content-type], expires: 30s, tag: pay}
"""
INBOUND = """
revision: "r1"
routes:
  - name: in
    match: {methods: [POST], path: /v1/hmac}
    credential: signed_request
"""
BODY = Body(b'{"amount":"5"}\xff\x00', is_complete=True)
OUTBOUND = [("ott.direction", "outbound")]
KEYS = {
    "by-hmac": signing_key(SignatureForm.HMAC, KeyAlgorithm.HMAC_SHA256),
    "by-eddsa": signing_key(SignatureForm.EDDSA, KeyAlgorithm.ED25519),
    "by-standard": signing_key(SignatureForm.STANDARD_WEBHOOKS, KeyAlgorithm.HMAC_SHA256),
    "by-http": signing_key(SignatureForm.HTTP_SIGNATURES, KeyAlgorithm.ED25519, "bank-1"),
}
CARRIERS = {
    "/v1/hmac": {"x-signature", "x-timestamp", "x-nonce"},
    "/v1/eddsa": {"x-signature", "x-timestamp", "x-nonce"},
    "/v1/standard": {"webhook-id", "webhook-timestamp", "webhook-signature"},
    "/v1/http": {"content-digest", "signature-input", "signature"},
}


class SigningDesk(Desk):
    def __init__(self) -> None:
        super().__init__(policy=POLICY)
        self.keys = dict(KEYS)
        signing = Signing(key_named=self.keys.get, entropy=self.entropy)
        object.__setattr__(self.checker, "attaching", Attaching(signatures=signing, clock=self.clock))

    async def sent(
        self, path: str, *headers: tuple[str, str], body: Body | None = BODY, budget: float = 0.25, **request: object
    ) -> Decision:
        facts = self.facts(*headers, **({"extensions": OUTBOUND, "path": path} | request))  # type: ignore[arg-type]
        return await self.ask(facts if body is None else replace(facts, body=body), budget=budget)


def signed(decision: Decision) -> AttachedSignature:
    assert isinstance(decision, Allow), decision
    assert isinstance(decision.attached, AttachedSignature)
    return decision.attached


def reason(decision: Decision) -> tuple[Reason, str | None]:
    assert isinstance(decision, Deny)
    return decision.reason, decision.detail


async def test_the_hmac_form_is_what_the_field_has() -> None:
    desk = SigningDesk()
    attached = signed(await desk.sent("/v1/hmac"))
    headers = dict(attached.headers)
    timestamp, nonce = str(desk.clock.now_ms() // 1000), headers["x-nonce"]
    assert headers["x-timestamp"] == timestamp
    mac = hmac.digest(SECRET.encode(), f"{timestamp}.{nonce}.".encode() + BODY.raw, hashlib.sha256)
    assert headers["x-signature"] == "sha256=" + base64.b64encode(mac).decode()
    assert (attached.key, attached.form, attached.keyid) == ("by-hmac", "hmac", None)


async def test_our_own_inbound_credential_takes_it_once() -> None:
    out = SigningDesk()
    out.clock.advance(60_000)
    headers = signed(await out.sent("/v1/hmac")).headers
    partner = Partner(name="us", client_id="us", form=SignatureForm.HMAC, keys=(SharedSecret(secret=SECRET.encode()),))
    credential = SignedRequestCredential(partners=lambda: {"us": partner}, verifiers=WEBHOOKS)
    desk = Desk(policy=INBOUND, more={CredentialKind.SIGNED_REQUEST: credential})
    desk.clock.advance(60_000)  # past the fence: the list cannot vouch for what was signed before it
    facts = replace(desk.facts(*headers, path="/v1/hmac"), body=BODY)
    assert isinstance(await desk.ask(facts), Allow)
    assert reason(await desk.ask(replace(facts, stream_id="2")))[0] is Reason.SIGNATURE_REPLAYED


async def test_two_requests_never_have_one_nonce() -> None:
    desk = SigningDesk()
    nonces = {dict(signed(await desk.sent("/v1/hmac")).headers)["x-nonce"] for _ in range(5)}
    assert len(nonces) == 5
    assert all(len(nonce) >= 22 for nonce in nonces)


@pytest.mark.parametrize("path", CARRIERS)
async def test_signatures_of_any_form_that_the_workload_sends_never_leave(path: str) -> None:
    forged = [
        ("x-signature", "sha256=Zm9yZ2Vk"), ("x-timestamp", "1"), ("x-nonce", "0123456789abcdef"),
        ("webhook-signature", "v1,Zm9yZ2Vk"), ("signature", "a=:Zm9yZ2Vk:"), ("signature-input", "a=()"),
        ("x-ott", "forged"), ("x-ott-subject", "root"),
    ]  # fmt: skip
    decision = await SigningDesk().sent(path, *forged)
    assert isinstance(decision, Allow)
    to_set, to_remove = answer_headers(response_from(decision, is_grpc=False, expose_reason=False))
    assert set(to_set) == CARRIERS[path]
    assert {"x-signature", "webhook-signature", "signature", "signature-input", "x-ott", "x-ott-subject"} <= (
        set(to_set) | to_remove
    )
    assert to_remove.isdisjoint(to_set)
    assert "forged" not in repr(to_set)
    assert "Zm9yZ2Vk" not in repr(to_set)


@pytest.mark.parametrize("path", ["/v1/hmac", "/v1/eddsa", "/v1/standard", "/v1/http"])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (None, Reason.BODY_INCOMPLETE),
        (Body(b'{"amount":', is_complete=False), Reason.BODY_INCOMPLETE),
        (Body(b"!", is_complete=True, is_binary_safe=False), Reason.BODY_NOT_BINARY_SAFE),
    ],
)
async def test_only_a_whole_body_is_signed(path: str, body: Body | None, expected: Reason) -> None:
    assert reason(await SigningDesk().sent(path, body=body)) == (expected, "body")


async def test_only_the_route_makes_a_body_that_nobody_buffered_empty() -> None:
    headers = dict(signed(await SigningDesk().sent("/v1/empty", body=None)).headers)
    content = f"{headers['x-timestamp']}.{headers['x-nonce']}.".encode()
    mac = hmac.digest(SECRET.encode(), content, hashlib.sha256)
    assert headers["x-signature"] == "sha256=" + base64.b64encode(mac).decode()


async def test_a_part_of_a_body_is_not_empty_whatever_the_route_says() -> None:
    body = Body(b"{", is_complete=False)
    assert reason(await SigningDesk().sent("/v1/empty", body=body))[0] is Reason.BODY_INCOMPLETE


@pytest.mark.parametrize("extensions", [[], [("ott.direction", "inbound")]])
async def test_a_caller_from_outside_gets_nothing_signed(extensions: list[tuple[str, str]]) -> None:
    """It would have our signature under whatever it likes to say."""
    decision = await SigningDesk().sent("/v1/hmac", extensions=extensions)
    assert reason(decision)[0] is Reason.NOT_OUTBOUND


async def test_a_condition_keeps_a_request_here() -> None:
    assert reason(await SigningDesk().sent("/v1/hmac", ("x-frozen", "1")))[0] is Reason.CONDITION_NOT_MET


async def test_without_the_key_nothing_leaves() -> None:
    desk = SigningDesk()
    del desk.keys["by-hmac"]
    decision = await desk.sent("/v1/hmac")
    assert reason(decision) == (Reason.SIGNING_KEY_UNAVAILABLE, "by-hmac")
    assert isinstance(decision, Deny)
    assert (decision.status, decision.retry_after_seconds) == (503, 1)


async def test_a_server_without_keys_refuses() -> None:
    desk = SigningDesk()
    object.__setattr__(desk.checker, "attaching", Attaching(clock=desk.clock))
    assert reason(await desk.sent("/v1/hmac"))[0] is Reason.SIGNING_KEY_UNAVAILABLE


async def test_a_new_key_signs_the_next_request() -> None:
    desk = SigningDesk()
    desk.keys["by-hmac"] = signing_key(SignatureForm.EDDSA, KeyAlgorithm.ED25519)
    assert dict(signed(await desk.sent("/v1/hmac")).headers)["x-signature"].startswith("eddsa=")


async def test_what_cannot_be_answered_in_time_is_not_signed() -> None:
    assert reason(await SigningDesk().sent("/v1/hmac", budget=0.02))[0] is Reason.DEADLINE_TOO_NEAR


async def test_a_messages_own_id_stays_only_where_the_route_says_so() -> None:
    desk = SigningDesk()
    own = ("webhook-id", "evt_17")
    assert dict(signed(await desk.sent("/v1/kept", own)).headers)["webhook-id"] == "evt_17"
    assert dict(signed(await desk.sent("/v1/standard", own)).headers)["webhook-id"] != "evt_17"
    assert dict(signed(await desk.sent("/v1/kept")).headers)["webhook-id"].startswith("msg_")


@pytest.mark.parametrize(
    "sent", [[("webhook-id", "a.b")], [("webhook-id", "")], [("webhook-id", "a"), ("webhook-id", "b")]]
)
async def test_an_id_that_would_make_two_messages_of_one_signature_is_not_signed(sent: list[tuple[str, str]]) -> None:
    assert reason(await SigningDesk().sent("/v1/kept", *sent))[0] is Reason.REQUEST_NOT_SIGNABLE


async def test_a_signature_says_what_it_covers_when_and_for_how_long() -> None:
    desk = SigningDesk()
    headers = dict(signed(await desk.sent("/v1/http", ("content-digest", "sha-256=:AAAA:"))).headers)
    created = desk.clock.now_ms() // 1000
    assert headers["signature-input"].startswith(
        f'ott=("@method" "@authority" "@path" "@query" "content-digest");created={created};expires={created + 300};'
    )
    assert ';keyid="bank-1";alg="ed25519"' in headers["signature-input"]
    digest = base64.b64encode(hashlib.sha256(BODY.raw).digest()).decode()
    assert headers["content-digest"] == f"sha-256=:{digest}:"
    chosen = signed(await desk.sent("/v1/chosen", ("content-type", "text/plain"), body=None))
    said = dict(chosen.headers)["signature-input"]
    assert said.startswith(f'ott=("@method" "@path" "content-type");created={created};expires={created + 30};')
    assert said.endswith(';tag="pay"')
    assert {name for name, _ in chosen.headers} == {"signature-input", "signature"}
    assert chosen.keyid == "bank-1"


@pytest.mark.parametrize(
    "sent", [[], [("content-type", "a"), ("content-type", "b")], [("content-type", "a\x00b")], [("content-type", "é")]]
)
async def test_a_header_that_is_absent_or_arrives_otherwise_is_not_signed(sent: list[tuple[str, str]]) -> None:
    assert reason(await SigningDesk().sent("/v1/chosen", *sent))[0] is Reason.REQUEST_NOT_SIGNABLE


async def test_a_port_that_is_default_for_one_scheme_alone_is_not_signed() -> None:
    """The receiver strips what is default for its scheme, which need not be the workload's."""
    assert reason(await SigningDesk().sent("/v1/http", host="wallet.api:80")) == (
        Reason.REQUEST_NOT_SIGNABLE,
        "@authority",
    )
    signed(await SigningDesk().sent("/v1/http", host="wallet.api:8443"))


async def test_audit_and_metadata_name_the_key_and_show_no_signature() -> None:
    desk = SigningDesk()
    decision = await desk.sent("/v1/http")
    [record] = desk.audit.records
    line = line_from(record)
    names = ("attached", "signing_key", "signature_form", "signature_keyid", "token_state", "audience")
    assert [line[name] for name in names] == [None, "by-http", "http_signatures", "bank-1", None, None]
    response = response_from(decision, is_grpc=False, expose_reason=False)
    metadata = {name: value.string_value for name, value in response.dynamic_metadata.fields.items()}
    assert (metadata["signing_key"], metadata["signature_form"]) == ("by-http", "http_signatures")
    signature = dict(signed(decision).headers)["signature"]
    for written in (repr(record), repr(decision), str(line), str(metadata), repr(desk.keys)):
        assert signature not in written
        assert SECRET not in written


async def test_nothing_is_spent() -> None:
    desk = SigningDesk()
    await desk.sent("/v1/hmac")
    assert desk.observer.spends == 0
