"""A signature is taken when it holds over enough of this very request, and for no other reason."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from ott_extauthz.authn.http_signatures.content_digest import content_digest
from ott_extauthz.authn.http_signatures.verifying import Signed, Wanted, verified
from ott_extauthz.authn.partners import KeyAlgorithm, Partner, SharedSecret
from ott_extauthz.model.message_component import component_from
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from tests.fakes.signed_requests import (
    BODY,
    CREATED,
    P256,
    Sent,
    key_of,
    partner,
    pem,
    request,
    signed,
    signed_by_hand,
)

NOTHING_MORE = Wanted()
INPUT = ';created=1750000000;keyid="ed25519"'
DIGEST = content_digest(BODY)
LINES = ('"@method": POST', '"@target-uri": https://pay.example/v1/pay?id=7', f'"content-digest": {DIGEST}')
ENOUGH = '("@method" "@target-uri" "content-digest")'
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def judged(sent: Sent, *partners: Partner, wanted: Wanted = NOTHING_MORE) -> Signed | Rejection:
    return verified(sent.message, sent.content, partners or (partner(),), wanted)


def held(sent: Sent, *partners: Partner, wanted: Wanted = NOTHING_MORE) -> Signed:
    found = judged(sent, *partners, wanted=wanted)
    assert isinstance(found, Signed), found
    return found


def reason_of(sent: Sent, *partners: Partner, wanted: Wanted = NOTHING_MORE) -> Reason:
    found = judged(sent, *partners, wanted=wanted)
    assert isinstance(found, Rejection), found
    return found.reason


def by_hand(input_text: str = ENOUGH + INPUT, *lines: str, **more: Any) -> Sent:
    return signed_by_hand(input_text, *(lines or LINES), content_digest=DIGEST, **more)


def wanting(*components: str, tag: str | None = None) -> Wanted:
    return Wanted(components=tuple(map(component_from, components)), tag=tag)


@pytest.mark.parametrize("algorithm", KeyAlgorithm)
def test_each_algorithm_holds(algorithm: KeyAlgorithm) -> None:
    found = held(signed(algorithm=algorithm))
    assert (found.partner.name, found.created_ms, found.until_ms) == ("acme", CREATED * 1000, None)


@pytest.mark.parametrize("algorithm", KeyAlgorithm)
@pytest.mark.parametrize(
    "changes",
    [
        {"method": "PUT"},
        {"authority": "evil.example"},
        {"target": "/v1/pay?id=8"},
        {"target": "/v1/pay/?id=7"},
        {"target": "/v1/%70ay?id=7"},
    ],
    ids=str,
)
def test_a_request_that_was_changed_does_not_hold(algorithm: KeyAlgorithm, changes: dict[str, str]) -> None:
    assert reason_of(signed(algorithm=algorithm).with_(**changes)) is Reason.SIGNATURE_INVALID


def test_a_query_that_was_dropped_does_not_hold() -> None:
    assert reason_of(signed().with_(target="/v1/pay")) is Reason.SIGNATURE_INVALID


def test_a_query_that_was_put_on_a_request_signed_without_one_is_not_covered() -> None:
    sent = signed("@method", "@authority", "@path", "content-digest", message=request("/v1/pay"))
    held(sent)
    assert reason_of(sent.with_(target="/v1/pay?admin=1")) is Reason.SIGNATURE_INCOMPLETE
    assert reason_of(sent.with_(target="/v1/pay?")) is Reason.SIGNATURE_INCOMPLETE


@pytest.mark.parametrize(
    "components",
    [
        ("@authority", "@path", "@query", "content-digest"),
        ("@method", "@path", "@query", "content-digest"),
        ("@method", "@authority", "@query", "content-digest"),
        ("@method", "@authority", "@path", "content-digest"),
        ("@method", "@authority", "@path", '"@query-param";name="id"', "content-digest"),
        ("@method", "@request-target", "content-digest"),
        ("@method", "@scheme", "@path", "@query", "content-digest"),
        ("@method", "@target-uri"),
        ("@method", "@target-uri", '"content-digest";key="sha-256"'),
        ("@method", "@target-uri", '"content-digest";bs'),
        ("content-type",),
    ],
)
def test_a_signature_over_another_component_set_is_incomplete(components: tuple[str, ...]) -> None:
    assert reason_of(signed(*components)) is Reason.SIGNATURE_INCOMPLETE


@pytest.mark.parametrize(
    "components",
    [
        ("@method", "@target-uri", "content-digest"),
        ("content-digest", "@request-target", "@authority", "@method"),
        ("@method", "@authority", "@path", "@query", '"content-digest";sf'),
        ("@method", "@target-uri", "content-digest", "content-type", '"@query-param";name="id"', "@scheme"),
    ],
)
def test_enough_may_be_covered_in_several_ways(components: tuple[str, ...]) -> None:
    held(signed(*components))


def test_a_signature_over_nothing_is_incomplete() -> None:
    assert reason_of(by_hand("()" + INPUT)) is Reason.SIGNATURE_INCOMPLETE


def test_what_the_route_asks_for_is_covered_with_its_parameters_or_not_at_all() -> None:
    everything = ("@method", "@authority", "@path", "@query", "content-digest")
    sent = signed(*everything, "content-type")
    held(sent, wanted=wanting("content-type"))
    assert judged(sent, wanted=wanting("content-type", "x-brand")) == Rejection(
        Reason.SIGNATURE_INCOMPLETE, detail='"x-brand"'
    )
    assert reason_of(sent, wanted=wanting('"content-type";bs')) is Reason.SIGNATURE_INCOMPLETE
    held(signed(*everything, '"content-type";bs'), wanted=wanting('"content-type";bs'))
    assert reason_of(signed(*everything, '"content-type";bs'), wanted=wanting("content-type")) is (
        Reason.SIGNATURE_INCOMPLETE
    )


def test_a_route_with_a_tag_takes_no_signature_that_was_made_for_something_else() -> None:
    held(signed(tag="payments"), wanted=wanting(tag="payments"))
    held(signed(tag="payments"))
    assert reason_of(signed(tag="payouts"), wanted=wanting(tag="payments")) is Reason.SIGNATURE_INCOMPLETE
    assert reason_of(signed(), wanted=wanting(tag="payments")) is Reason.SIGNATURE_INCOMPLETE


def test_a_component_that_the_request_has_not_is_no_empty_line() -> None:
    everything = ("@method", "@target-uri", "content-digest", "content-type")
    sent = signed(*everything).with_headers(content_type=None)
    assert reason_of(sent) is Reason.SIGNATURE_INVALID
    held(signed(*everything, message=request(headers={"content-type": ""})))


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_key_of_another_partner_is_unknown() -> None:
    assert reason_of(signed(), partner(key_of(KeyAlgorithm.ED25519, "other"))) is Reason.SIGNATURE_KEY_UNKNOWN


def test_a_signature_that_names_no_key_is_incomplete() -> None:
    assert judged(by_hand(ENOUGH + ";created=1750000000")) == Rejection(Reason.SIGNATURE_INCOMPLETE, detail="keyid")


def test_a_key_that_no_signature_can_name_is_never_used() -> None:
    nameless = replace(SharedSecret(secret=bytes(32)), kid=None)
    assert reason_of(by_hand(ENOUGH + ";created=1750000000"), partner(nameless)) is Reason.SIGNATURE_INCOMPLETE


def test_partners_may_call_their_keys_alike_and_each_is_still_itself() -> None:
    other = partner(SharedSecret(secret=bytes(32), kid="k"), name="other")
    mine = partner(key_of(KeyAlgorithm.HMAC_SHA256, "k"))
    sent = signed(algorithm=KeyAlgorithm.HMAC_SHA256, keyid="k")
    assert held(sent, other, mine).partner.name == "acme"
    assert reason_of(sent, other) is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize("named", [each for each in KeyAlgorithm if each is not KeyAlgorithm.ED25519])
def test_alg_does_not_choose_what_the_key_is_used_with(named: KeyAlgorithm) -> None:
    sent = by_hand(f'{ENOUGH}{INPUT};alg="{named}"')
    assert judged(sent) == Rejection(Reason.SIGNATURE_KEY_UNKNOWN, detail="alg")


def test_alg_may_be_left_out() -> None:
    held(by_hand())


@pytest.mark.parametrize(
    "algorithm", [KeyAlgorithm.ED25519, KeyAlgorithm.ECDSA_P256_SHA256, KeyAlgorithm.RSA_PSS_SHA512]
)
@pytest.mark.parametrize("claims_alg", [True, False])
def test_a_public_key_is_no_shared_secret(algorithm: KeyAlgorithm, claims_alg: bool) -> None:  # noqa: FBT001
    """Algorithm confusion: everybody has the public key, and so can make an HMAC with it."""
    alg = ';alg="hmac-sha256"' if claims_alg else ""
    text = f'{ENOUGH};created=1750000000;keyid="{algorithm}"{alg}'
    base = "\n".join([*LINES, f'"@signature-params": {text}']).encode()
    forged = base64.b64encode(hashlib.sha256(pem(algorithm) + base).digest()).decode()
    with_mac = base64.b64encode(_hmac(pem(algorithm), base)).decode()
    for value in (forged, with_mac):
        sent = by_hand(text).with_headers(signature=f"sig=:{value}:")
        assert reason_of(sent) in (Reason.SIGNATURE_INVALID, Reason.SIGNATURE_KEY_UNKNOWN)


def _hmac(key: bytes, message: bytes) -> bytes:
    import hmac  # noqa: PLC0415 - only here

    return hmac.digest(key, message, "sha256")


# --- the bytes of a signature, and what may come once -----------------------------------------------------------------


def p256_sent() -> tuple[Sent, bytes]:
    sent = signed(algorithm=KeyAlgorithm.ECDSA_P256_SHA256)
    return sent, base64.b64decode(sent.message.headers["signature"][0].removeprefix("ott=:").removesuffix(":"))


def test_ecdsa_in_der_is_no_signature() -> None:
    sent, raw = p256_sent()
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    value = base64.b64encode(der).decode()
    assert reason_of(sent.with_headers(signature=f"ott=:{value}:")) is Reason.SIGNATURE_INVALID


def test_the_twin_of_an_ecdsa_signature_that_anybody_can_make_is_the_same_use() -> None:
    sent, raw = p256_sent()
    twin = raw[:32] + (P256_ORDER - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    assert twin != raw
    again = sent.with_headers(signature=f"ott=:{base64.b64encode(twin).decode()}:")
    assert held(again).name == held(sent).name


def test_without_a_nonce_the_twin_is_the_same_use_too() -> None:
    text = f'{ENOUGH};created=1750000000;keyid="ecdsa-p256-sha256"'
    sent = by_hand(text, algorithm=KeyAlgorithm.ECDSA_P256_SHA256)
    raw = base64.b64decode(sent.message.headers["signature"][0].removeprefix("sig=:").removesuffix(":"))
    twin = raw[:32] + (P256_ORDER - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    again = sent.with_headers(signature=f"sig=:{base64.b64encode(twin).decode()}:")
    assert held(again).name == held(sent).name
    later = by_hand(text.replace("1750000000", "1750000001"), algorithm=KeyAlgorithm.ECDSA_P256_SHA256)
    assert held(later).name != held(sent).name


def test_another_label_or_another_spelling_is_the_same_use() -> None:
    sent = by_hand()
    value = sent.message.headers["signature"][0].removeprefix("sig=")
    named = sent.with_headers(signature=f"other={value}", signature_input=f"other={ENOUGH}{INPUT}")
    spelt = sent.with_headers(signature_input=f"sig={ENOUGH.replace(' ', '  ')}{INPUT.replace(';', ';  ')}")
    assert held(named).name == held(spelt).name == held(sent).name


def test_a_nonce_is_one_use_whatever_else_is_signed() -> None:
    assert held(signed(nonce="n" * 16)).name == held(signed(nonce="n" * 16, created=CREATED + 1)).name
    assert held(signed(nonce="n" * 16)).name != held(signed(nonce="m" * 16)).name


def test_a_nonce_cannot_be_made_to_look_like_a_signature_base() -> None:
    plain = by_hand()
    assert held(signed(nonce=held(plain).name)).name != held(plain).name


def test_two_signatures_of_partners_cannot_be_taken_apart_to_send_a_request_twice() -> None:
    first = by_hand().message.headers
    second = by_hand(
        f'{ENOUGH};created=1750000000;keyid="hmac-sha256"', algorithm=KeyAlgorithm.HMAC_SHA256, label="b"
    ).message.headers
    both = by_hand().with_headers(
        signature_input=f"{first['signature-input'][0]}, {second['signature-input'][0]}",
        signature=f"{first['signature'][0]}, {second['signature'][0]}",
    )
    assert judged(both) == Rejection(Reason.SIGNATURE_MALFORMED, detail="several signatures of partners")
    held(both, partner(key_of(KeyAlgorithm.ED25519)))


@pytest.mark.parametrize(
    "theirs", ['("@status");keyid="proxy"', '("x";req);unknown=1;keyid="proxy"', "()", "();keyid=7"]
)
def test_a_signature_of_a_proxy_on_the_way_is_passed_over_whatever_it_covers(theirs: str) -> None:
    sent = by_hand()
    held(sent.with_headers(
        signature_input=f'proxy={theirs}, {sent.message.headers["signature-input"][0]}',
        signature=f'proxy=:AAAA:, {sent.message.headers["signature"][0]}',
    ))  # fmt: skip


# --- time -------------------------------------------------------------------------------------------------------------


def test_a_signature_without_an_instant_is_incomplete() -> None:
    assert judged(by_hand(ENOUGH + ';keyid="ed25519"')) == Rejection(Reason.SIGNATURE_INCOMPLETE, detail="created")


def test_the_end_that_a_signature_names_is_told() -> None:
    assert held(signed(expires=CREATED + 60)).until_ms == (CREATED + 60) * 1000


@pytest.mark.parametrize(
    "parameter",
    ["created=1750000000.0", "created=@1750000000", 'created="1750000000"', "created", "created=1750000000;expires=1.5",
     'created=1750000000;expires="never"', "created=1750000000;expires=?0", 'created=1750000000;nonce=""',
     "created=1750000000;nonce=token", "created=1750000000;alg=ed25519", "created=1750000000;tag=?1",
     "created=1750000000;scope=1", "created=1750000000;created=1750000000", "created=1;created=1750000000"],
)  # fmt: skip
def test_a_parameter_of_another_type_unknown_or_twice_is_malformed(parameter: str) -> None:
    sent = by_hand(f'{ENOUGH};{parameter};keyid="ed25519"')
    assert reason_of(sent) is Reason.SIGNATURE_MALFORMED


# --- the headers ------------------------------------------------------------------------------------------------------

GOOD_INPUT = f"sig={ENOUGH}{INPUT}"


@pytest.mark.parametrize(
    ("input_value", "signature"),
    [
        (None, "sig=:AAAA:"),
        (GOOD_INPUT, None),
        (GOOD_INPUT, "other=:AAAA:"),
        (GOOD_INPUT, "sig=:AAAA:, other=:AAAA:"),
        (f"{GOOD_INPUT}, other=()", "sig=:AAAA:"),
        (f"{GOOD_INPUT}, {GOOD_INPUT}", "sig=:AAAA:"),
        (GOOD_INPUT, "sig=:AAAA:, sig=:AAAA:"),
        (GOOD_INPUT, "sig=AAAA"),
        (GOOD_INPUT, 'sig="AAAA"'),
        (GOOD_INPUT, "sig=:AA*A:"),
        (GOOD_INPUT, "sig=:AAAA"),
        (GOOD_INPUT, "sig"),
        (GOOD_INPUT, "sig=:AAAA:;x=1"),
        (GOOD_INPUT, ""),
        ("", "sig=:AAAA:"),
        ("sig", "sig=:AAAA:"),
        ('sig="@method"', "sig=:AAAA:"),
        ("Sig=()", "Sig=:AAAA:"),
        ("sig=(", "sig=:AAAA:"),
        (f"sig={ENOUGH}{INPUT},", "sig=:AAAA:"),
        (f"sig={ENOUGH}{INPUT}\x00", "sig=:AAAA:"),
        (f"sig={ENOUGH}{INPUT}\xff", "sig=:AAAA:"),
        ((GOOD_INPUT, GOOD_INPUT), "sig=:AAAA:"),
        (GOOD_INPUT, ("sig=:AAAA:", "sig=:AAAA:")),
        (GOOD_INPUT + " " * 9000, "sig=:AAAA:"),
        (GOOD_INPUT, f"sig=:{'A' * 9000}:"),
        (", ".join(f"s{n}=()" for n in range(9)), ", ".join(f"s{n}=:AAAA:" for n in range(9))),
    ],
)
def test_headers_that_are_missing_in_part_or_break_their_grammar_are_malformed(
    input_value: str | Sequence[str] | None, signature: str | Sequence[str] | None
) -> None:
    sent = by_hand().with_headers(signature_input=input_value, signature=signature)
    assert reason_of(sent) is Reason.SIGNATURE_MALFORMED


@pytest.mark.parametrize(
    ("component", "line"),
    [
        ('"@method"', '"@method": POST'),
        ('"content-type" "content-type"', '"content-type": application/json\n"content-type": application/json'),
        ('"content-digest";sf "content-digest";sf', "x"),
        ('"content-digest";sf;key="sha-256" "content-digest";key="sha-256";sf', "x"),
        ('"content-digest";sf;sf', f'"content-digest";sf: {DIGEST}'),
        ('"@status"', '"@status": 200'),
        ('"@signature-params"', '"@signature-params": x'),
        ('"@unknown"', '"@unknown": x'),
        ('"@path";sf', '"@path";sf: /v1/pay'),
        ('"@query-param"', '"@query-param": 7'),
        ('"@query-param";name', '"@query-param";name: 7'),
        ('"content-type";req', '"content-type";req: application/json'),
        ('"content-type";tr', '"content-type";tr: application/json'),
        ('"content-type";x="y"', '"content-type";x="y": application/json'),
        ('"content-type";bs=?0', '"content-type";bs=?0: application/json'),
        ('"content-type";bs;sf', "x"),
        ('"content-type";sf', '"content-type";sf: application/json'),
        ('"content-type";key=sha', "x"),
        ('"Content-Type"', '"Content-Type": application/json'),
        ('"content type"', '"content type": application/json'),
        ('""', '"": '),
        ("content-type", "content-type: application/json"),
        (":AAAA:", ":AAAA:: x"),
        ("7", "7: x"),
        (" ".join(f'"x{n}"' for n in range(70)), "x"),
    ],
)
def test_a_component_that_is_none_or_stands_twice_is_malformed(component: str, line: str) -> None:
    """Also where the partner did sign it: what two parties read differently is not signed."""
    sent = by_hand(f'("@method" "@target-uri" "content-digest" {component}){INPUT}', *LINES, line)
    assert reason_of(sent) is Reason.SIGNATURE_MALFORMED


# --- values that would forge lines ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["a\nb", "a\r\n b", "a\rb", "a\x00b", "a\x7fb", "caf\xe9"])
def test_a_value_with_a_line_break_or_outside_ascii_is_never_part_of_a_base(value: str) -> None:
    sent = by_hand(f'("@method" "@target-uri" "content-digest" "x"){INPUT}', *LINES, f'"x": {value}', x=value)
    assert reason_of(sent) is Reason.SIGNATURE_INVALID


def test_a_value_cannot_forge_the_line_of_another_component() -> None:
    """Signed: one header. Sent: its text as a header before it, cut at the line break."""
    lines = (*LINES, '"a": 1', '"b": 2')
    sent = by_hand(f'("@method" "@target-uri" "content-digest" "a" "b"){INPUT}', *lines, a="1", b="2")
    held(sent)
    forged = sent.with_headers(
        signature_input=f'sig=("@method" "@target-uri" "content-digest" "a"){INPUT}', a='1\n"b": 2', b=None
    )
    assert reason_of(forged) is Reason.SIGNATURE_INVALID


def test_what_is_not_ascii_can_be_covered_in_bytes() -> None:
    covered = ("@method", "@target-uri", "content-digest", '"x";bs')
    sent = signed(*covered, message=request(headers={"x": "caf\xe9"}))
    held(sent)
    assert reason_of(sent.with_headers(x="cafe")) is Reason.SIGNATURE_INVALID


# --- content ----------------------------------------------------------------------------------------------------------


def test_another_body_under_a_good_signature_is_refused_as_such() -> None:
    sent = replace(signed(), content=b'{"amount": 500000}')
    assert reason_of(sent) is Reason.CONTENT_DIGEST_MISMATCH


def test_another_digest_under_a_good_signature_does_not_hold() -> None:
    forged = b'{"amount": 500000}'
    sent = replace(signed(), content=forged).with_headers(content_digest=content_digest(forged))
    assert reason_of(sent) is Reason.SIGNATURE_INVALID


def test_a_digest_of_one_algorithm_alone_does_not_cover_the_others() -> None:
    """`key` leaves the rest of the field open: a second digest could be put beside the signed one."""
    assert reason_of(signed("@method", "@target-uri", '"content-digest";key="sha-256"')) is Reason.SIGNATURE_INCOMPLETE


def test_a_request_without_content_needs_no_digest_and_one_that_is_there_must_be_right() -> None:
    bare = signed("@method", "@target-uri", content=None)
    held(bare)
    assert reason_of(replace(bare, content=b"x")) is Reason.SIGNATURE_INCOMPLETE
    assert reason_of(bare.with_headers(content_digest=content_digest(b"x"))) is Reason.CONTENT_DIGEST_MISMATCH
    held(bare.with_headers(content_digest=content_digest(b"")))


def test_a_covered_digest_that_was_taken_off_does_not_hold() -> None:
    assert reason_of(signed().with_headers(content_digest=None)) is Reason.SIGNATURE_INVALID


def test_a_digest_is_looked_at_only_once_the_signature_holds() -> None:
    """A forged request learns nothing of the body's rules, and costs no hashing."""
    sent = replace(signed(), content=b"other").with_headers(signature="ott=:AAAA:")
    assert reason_of(sent) is Reason.SIGNATURE_INVALID


def test_ecdsa_of_another_hash_does_not_hold() -> None:
    sent, _ = p256_sent()
    other = P256.sign(b"something else", ec.ECDSA(SHA256()))
    value = base64.b64encode(other[:64]).decode()
    assert reason_of(sent.with_headers(signature=f"ott=:{value}:")) is Reason.SIGNATURE_INVALID
