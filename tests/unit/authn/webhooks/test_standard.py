"""What Standard Webhooks sign, and how strictly their headers are read."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ott_extauthz.authn.padded_base64 import encoded
from ott_extauthz.authn.partner_keys import secret_from
from ott_extauthz.authn.partners import KeyAlgorithm, SignatureForm
from ott_extauthz.authn.webhooks.message import SignedMessage
from ott_extauthz.authn.webhooks.standard import MOST_SIGNATURES, standard_content, standard_headers, standard_message
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from tests.fakes.partners import BODY, HOOK_SECRET, SIGNING_KEY, Sent, changed, gathered

AT_MS = 1_790_000_000_000
SENT = Sent(at_ms=AT_MS, form=SignatureForm.STANDARD_WEBHOOKS, name="msg_1", secret=HOOK_SECRET)
IDS = st.text(alphabet="abcXYZ019_~+/=:-", min_size=1, max_size=20)
SIGNATURE = dict(SENT.lines)["webhook-signature"]


def refused(lines: tuple[tuple[str, str], ...]) -> tuple[Reason, str | None]:
    found = standard_message(gathered(*lines))
    assert isinstance(found, Rejection)
    return found.reason, found.detail


def test_the_published_example_is_reproduced() -> None:
    key = secret_from(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", encoding="whsec")
    content = standard_content("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    headers = standard_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", (key.algorithm, hmac.digest(key.secret, content, "sha256"))
    )
    assert dict(headers)["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    found = standard_message(gathered(*headers))
    assert isinstance(found, SignedMessage)
    assert key.verifies(found.preamble + b'{"test": 2432232314}', found.signatures[0].value)


def test_several_signatures_of_both_kinds_are_offered_and_unknown_versions_passed_over() -> None:
    edwards = encoded(SIGNING_KEY.sign(b"x").signature)
    lines = changed(SENT.lines, webhook_signature=f"v9z,{'A' * 4000} v1a,{edwards} {SIGNATURE}")
    found = standard_message(gathered(*lines))
    assert isinstance(found, SignedMessage)
    assert [each.algorithm for each in found.signatures] == [KeyAlgorithm.ED25519, KeyAlgorithm.HMAC_SHA256]
    assert refused(changed(SENT.lines, webhook_signature=f"v9z,{edwards}"))[0] is Reason.SIGNATURE_MALFORMED


@given(st.integers(0, 10**12 - 1), IDS, st.binary(max_size=40), st.integers(0, 10**12 - 1), IDS, st.binary())
def test_two_messages_never_sign_the_same_bytes(  # noqa: PLR0917 - two messages of three parts
    stamp: int, name: str, body: bytes, other_stamp: int, other_name: str, other_body: bytes
) -> None:
    one, other = (stamp, name, body), (other_stamp, other_name, other_body)
    contents = [standard_content(b, str(a), c) for a, b, c in (one, other)]
    assert (contents[0] == contents[1]) == (one == other)


@pytest.mark.parametrize("name", ["msg.1", "msg.1790000000", "", "m" * 257, "msg 1", "msg\n", "mé"])
def test_an_id_outside_the_grammar_is_neither_read_nor_signed(name: str) -> None:
    """With a dot in it, "a.1" at 2 over B would be "a" at 1 over "2.B"."""
    assert refused(changed(SENT.lines, webhook_id=name)) == (Reason.SIGNATURE_MALFORMED, "webhook-id")
    with pytest.raises(ValueError, match="without a dot"):
        standard_content(name, "1", b"")


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_is_missing_doubled_or_joined_refuses(name: str) -> None:
    value = dict(SENT.lines)[name]
    assert refused(changed(SENT.lines, **{name: None})) == (Reason.SIGNATURE_MALFORMED, name)
    assert refused((*SENT.lines, (name, value))) == (Reason.CREDENTIAL_DUPLICATED, name)
    is_list = name == "webhook-signature"  # whose own commas tell version and signature apart
    expected = Reason.SIGNATURE_MALFORMED if is_list else Reason.CREDENTIAL_DUPLICATED
    for comma in (",", ", "):
        assert refused(changed(SENT.lines, **{name: value + comma + value})) == (expected, name)


@pytest.mark.parametrize(
    "entries",
    [
        "", " ", "v1", "v1,", "v1," + "A" * 43, SIGNATURE + " ", " " + SIGNATURE,
        SIGNATURE + "  " + SIGNATURE, "V1," + SIGNATURE[3:], SIGNATURE[3:], SIGNATURE + " junk", "v1a," + SIGNATURE[3:],
        "v1," + encoded(b"\x01" * 64), "v1," + encoded(b"\x01" * 31), " ".join([SIGNATURE] * (MOST_SIGNATURES + 1)),
        SIGNATURE[:-1], SIGNATURE + "=", SIGNATURE + "\t" + SIGNATURE,
    ],
)  # fmt: skip
def test_entries_outside_the_grammar_refuse_them_all(entries: str) -> None:
    assert refused(changed(SENT.lines, webhook_signature=entries)) == (Reason.SIGNATURE_MALFORMED, "webhook-signature")


def test_what_is_read_is_what_is_signed() -> None:
    found = standard_message(gathered(*SENT.lines))
    assert isinstance(found, SignedMessage)
    assert found.preamble + BODY == standard_content("msg_1", "1790000000", BODY)
    assert (found.name, found.signed_at_ms) == ("msg_1", AT_MS)
    assert found.carriers == ("webhook-signature",)
    assert found.covered == {"webhook-id", "webhook-timestamp"}
