"""Whatever stands in the headers: a decision, never an exception, and nothing that is not signed is let in."""

from hypothesis import given
from hypothesis import strategies as st

from ott_extauthz.authn.partners import SignatureForm
from ott_extauthz.authn.webhooks.message import SignedMessage
from ott_extauthz.authn.webhooks.stamped import stamped_content, stamped_message
from ott_extauthz.authn.webhooks.standard import standard_content, standard_message
from ott_extauthz.model.facts import Headers
from tests.fakes.partners import HOOK, HOOK_SECRET, LAB, PSP, Sent, gathered

AT_MS = 1_790_000_000_000
SENT = {
    SignatureForm.HMAC: (Sent(at_ms=AT_MS), PSP),
    SignatureForm.EDDSA: (Sent(at_ms=AT_MS, form=SignatureForm.EDDSA), LAB),
    SignatureForm.STANDARD_WEBHOOKS: (
        Sent(at_ms=AT_MS, form=SignatureForm.STANDARD_WEBHOOKS, name="msg_1", secret=HOOK_SECRET),
        HOOK,
    ),
}
NAMES = sorted({name for sent, _ in SENT.values() for name, _ in sent.lines})
VALUES = st.one_of(
    st.text(st.characters(max_codepoint=255), max_size=120),
    st.from_regex(r"(sha256|eddsa|v1|v1a)[=,][A-Za-z0-9+/]{40,90}={0,3}( v1,[A-Za-z0-9+/]{43}=)*", fullmatch=True),
    st.from_regex(r"[0-9]{1,14}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9._,-]{1,140}", fullmatch=True),
)


def message_in(form: SignatureForm, headers: Headers) -> object:
    return standard_message(headers) if form is SignatureForm.STANDARD_WEBHOOKS else stamped_message(form, headers)


@given(st.sampled_from(list(SENT)), st.dictionaries(st.sampled_from(NAMES), st.lists(VALUES, max_size=2).map(tuple)))
def test_any_headers_are_judged_and_what_is_read_could_have_been_signed(form: SignatureForm, headers: Headers) -> None:
    found = message_in(form, headers)
    if isinstance(found, SignedMessage):
        first, second, _ = found.preamble.decode("ascii").split(".")
        content = standard_content if form is SignatureForm.STANDARD_WEBHOOKS else stamped_content
        assert content(first, second, b"body") == found.preamble + b"body"


@given(st.sampled_from(list(SENT)), st.data())
def test_a_changed_header_is_never_verified_as_another_message(form: SignatureForm, data: st.DataObject) -> None:
    sent, partner = SENT[form]
    name, value = data.draw(st.sampled_from(sent.lines))
    at = data.draw(st.integers(0, len(value) - 1))
    byte = data.draw(st.characters(max_codepoint=255))
    other = value[:at] + byte + value[at + 1 :]
    lines = [(one, other if one == name else kept) for one, kept in sent.lines]
    found = message_in(form, gathered(*lines))
    if other == value or not isinstance(found, SignedMessage):
        return
    held = [
        key.verifies(found.preamble + sent.body, signature.value)
        for key in partner.keys
        for signature in found.signatures
        if key.algorithm is signature.algorithm
    ]
    assert not any(held)
