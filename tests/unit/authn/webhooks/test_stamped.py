"""What the HMAC and EdDSA forms sign, and how strictly their headers are read."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ott_extauthz.authn.partners import KeyAlgorithm, SignatureForm
from ott_extauthz.authn.webhooks.message import SignedMessage
from ott_extauthz.authn.webhooks.stamped import is_stamped, stamped_content, stamped_headers, stamped_message
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from tests.fakes.partners import BODY, NONCE, SECRET, Sent, changed, gathered

HMAC, EDDSA = SignatureForm.HMAC, SignatureForm.EDDSA
AT_MS = 1_790_000_000_000
SENT = Sent(at_ms=AT_MS)
NONCES = st.text(alphabet="abcXYZ019_~+/=:-", min_size=16, max_size=40)


def refused(form: SignatureForm, lines: tuple[tuple[str, str], ...]) -> tuple[Reason, str | None]:
    found = stamped_message(form, gathered(*lines))
    assert isinstance(found, Rejection)
    return found.reason, found.detail


def test_the_form_of_the_specification_is_reproduced() -> None:
    mac = hmac.new(SECRET, b"1790000000.0123456789abcdef." + BODY, hashlib.sha256).digest()
    found = stamped_message(HMAC, gathered(*SENT.lines))
    assert isinstance(found, SignedMessage)
    assert found.preamble + BODY == stamped_content("1790000000", NONCE, BODY)
    assert [(each.algorithm, each.value) for each in found.signatures] == [(KeyAlgorithm.HMAC_SHA256, mac)]
    assert (found.signed_at_ms, found.name, found.carriers) == (AT_MS, NONCE, ("x-signature",))
    assert found.covered == {"x-timestamp", "x-nonce"}


@given(st.integers(0, 10**12 - 1), NONCES, st.binary(max_size=40), st.integers(0, 10**12 - 1), NONCES, st.binary())
def test_two_messages_never_sign_the_same_bytes(  # noqa: PLR0917 - two messages of three parts
    stamp: int, nonce: str, body: bytes, other_stamp: int, other_nonce: str, other_body: bytes
) -> None:
    one, other = (stamp, nonce, body), (other_stamp, other_nonce, other_body)
    contents = [stamped_content(str(a), b, c) for a, b, c in (one, other)]
    assert (contents[0] == contents[1]) == (one == other)


@given(NONCES, st.binary(max_size=40), st.integers(0, 10**12 - 1))
def test_a_message_is_taken_apart_at_its_first_two_dots(nonce: str, body: bytes, stamp: int) -> None:
    content = stamped_content(str(stamp), nonce, body)
    assert content.split(b".", 2) == [str(stamp).encode(), nonce.encode(), body]


@pytest.mark.parametrize("nonce", ["0123456789abcde.", "short", "n" * 129, "0123456789abcde,", "0123456789abcde é", ""])
def test_a_nonce_outside_the_grammar_is_neither_read_nor_signed(nonce: str) -> None:
    """With a dot in it, the nonce's end could be moved into the body, and one signature would hold for both."""
    lines = changed(SENT.lines, x_nonce=nonce)
    reason = Reason.CREDENTIAL_DUPLICATED if "," in nonce else Reason.SIGNATURE_MALFORMED
    assert refused(HMAC, lines) == (reason, "x-nonce")
    with pytest.raises(ValueError, match="without a dot"):
        stamped_content("1", nonce, b"")


@pytest.mark.parametrize(
    "stamp",
    ["", "-1", "+1", "1.5", "1e9", "01", " 1", "1 ", "0x10", "1_000", "9" * 13, "9" * 5000, "\u0661", "now", "1\n"],
)
def test_a_timestamp_is_digits_and_one_spelling(stamp: str) -> None:
    assert refused(HMAC, changed(SENT.lines, x_timestamp=stamp)) == (Reason.SIGNATURE_MALFORMED, "x-timestamp")
    with pytest.raises(ValueError, match="digits"):
        stamped_content(stamp, NONCE, b"")


@pytest.mark.parametrize("name", ["x-signature", "x-timestamp", "x-nonce"])
def test_a_header_that_is_missing_doubled_or_joined_refuses(name: str) -> None:
    value = dict(SENT.lines)[name]
    assert refused(HMAC, changed(SENT.lines, **{name: None})) == (Reason.SIGNATURE_MALFORMED, name)
    assert refused(HMAC, (*SENT.lines, (name, value))) == (Reason.CREDENTIAL_DUPLICATED, name)
    joined = changed(SENT.lines, **{name: f"{value},{value}"})
    assert refused(HMAC, joined) == (Reason.CREDENTIAL_DUPLICATED, name)


def test_the_word_decides_the_kind_of_key_and_no_other_is_tried() -> None:
    signature = dict(SENT.lines)["x-signature"].removeprefix("sha256=")
    for word in ("eddsa=", "SHA256=", "sha512=", "=", "", "sha256:", " sha256="):
        lines = changed(SENT.lines, x_signature=word + signature)
        assert refused(HMAC, lines)[0] is Reason.CREDENTIAL_SCHEME_REFUSED
        if word != "eddsa=":
            assert is_stamped(HMAC, gathered(*lines))
            assert not is_stamped(EDDSA, gathered(*lines))
    assert refused(EDDSA, SENT.lines)[0] is Reason.CREDENTIAL_SCHEME_REFUSED
    assert not is_stamped(HMAC, gathered(("x-signature", f"eddsa={signature}")))
    assert not is_stamped(HMAC, gathered(("x-nonce", NONCE)))


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_truncated_or_longer_signature_is_none(length: int) -> None:
    value = dict(stamped_headers(HMAC, "1", NONCE, b"\x01" * length))["x-signature"]
    assert refused(HMAC, changed(SENT.lines, x_signature=value)) == (Reason.SIGNATURE_MALFORMED, "x-signature")


def test_a_signature_has_one_spelling() -> None:
    value = dict(SENT.lines)["x-signature"]
    assert value.endswith("=")
    loose = value[:-2] + chr(ord(value[-2]) + 1) + "="  # the same bytes to a lenient decoder
    for other in (value[:-1], value + "=", value + " ", value.replace("=", "=\t", 1), loose, value[:-1] + "\n="):
        assert refused(HMAC, changed(SENT.lines, x_signature=other))[0] is Reason.SIGNATURE_MALFORMED
