"""An event's name is believed only where it is signed; what another form of signature says is judged here as well."""

import dataclasses
from collections.abc import Mapping, Sequence

import pytest

from ott_extauthz.authn.partners import Partner, SharedSecret, SignatureForm
from ott_extauthz.check.credentials.events import event_named
from ott_extauthz.check.credentials.request_verifier import SignedBy, SignedRequest
from ott_extauthz.check.credentials.signed_requests import SignedRequestCredential
from ott_extauthz.model.body import Body
from ott_extauthz.model.decision import Allow, Deny
from ott_extauthz.model.facts import Headers
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.pointer import pointer_from
from ott_extauthz.policy.routes import CredentialKind
from ott_extauthz.policy.terms import EventTerms
from tests.fakes.desk import Desk
from tests.fakes.partners import BODY, SECRET, by_name, partner

POLICY = """
routes:
  - name: hooks
    match: {path: /hooks}
    credential: signed_request
    signed_request: {event: {header: x-event}}
"""
PEER = partner("peer", SignatureForm.HTTP_SIGNATURES, SharedSecret(secret=SECRET))
IN_HEADER, IN_BODY = (
    EventTerms(header="x-event", kept_ms=1000),
    EventTerms(pointer=pointer_from("/event/id"), kept_ms=1),
)


@dataclasses.dataclass
class Believing:
    """A form that believes what it is told: a verifier beyond this one's forms, whose word is judged all the same."""

    signed: SignedBy

    def is_presented(self, headers: Headers) -> bool:
        return "signature" in headers

    def verified(self, candidates: Sequence[Partner], request: SignedRequest) -> SignedBy | Rejection:
        assert [one.name for one in candidates] == ["peer"]
        return self.signed


def signed_by(at_ms: int, **changes: object) -> SignedBy:
    said = SignedBy(
        partner=PEER,
        name="n-1",
        signed_at_ms=at_ms,
        covered=frozenset({"x-event"}),
        covers_body=True,
        carriers=("signature", "signature-input"),
    )
    return dataclasses.replace(said, **changes)  # type: ignore[arg-type]


class Peers(Desk):
    def __init__(self) -> None:
        self.form = Believing(signed_by(0))
        verifiers: Mapping[SignatureForm, Believing] = {SignatureForm.HTTP_SIGNATURES: self.form}
        credential = SignedRequestCredential(partners=lambda: by_name(PEER), verifiers=verifiers)
        super().__init__(policy=POLICY, more={CredentialKind.SIGNED_REQUEST: credential})
        self.clock.advance(600_000)

    async def send(self, *lines: tuple[str, str], **changes: object) -> Allow | Deny:
        self.form.signed = signed_by(self.clock.now_ms(), **changes)
        return await self.ask(self.facts(("signature", "x"), *lines, path="/hooks"))


def asked(*lines: tuple[str, str]) -> SignedRequest:
    desk = Desk()
    facts = dataclasses.replace(desk.facts(*lines), body=Body(BODY, is_complete=True))
    return SignedRequest(facts=facts, target=None, terms=None, may_be_unseen=False, now_ms=0)  # type: ignore[arg-type]


def test_a_body_that_is_not_signed_names_no_event() -> None:
    assert event_named(IN_BODY, signed_by(0), asked()) == "evt-1"
    unsigned = event_named(IN_BODY, signed_by(0, covers_body=False), asked())
    assert isinstance(unsigned, Rejection)
    assert unsigned.reason is Reason.SIGNATURE_INCOMPLETE


@pytest.mark.parametrize("values", [(), ("",), ("a", "b"), ("a,b",), ("a b",), ("e" * 257,), ("\xe9",), ("a\n",)])
def test_a_header_names_one_event_or_none(values: tuple[str, ...]) -> None:
    assert event_named(IN_HEADER, signed_by(0), asked(("x-event", "evt-7"))) == "evt-7"
    unnamed = event_named(IN_HEADER, signed_by(0), asked(*(("x-event", value) for value in values)))
    assert isinstance(unnamed, Rejection)
    assert unnamed.reason is Reason.EVENT_UNNAMED
    assert event_named(None, signed_by(0), asked()) is None


async def test_what_a_signature_says_of_its_own_end_holds_before_the_window_does() -> None:
    desk = Peers()
    now = desk.clock.now_ms()
    late = await desk.send(("x-event", "evt-1"), until_ms=now - 1)
    assert isinstance(late, Deny)
    assert late.reason is Reason.SIGNATURE_TIME_REFUSED
    allowed = await desk.send(("x-event", "evt-1"), until_ms=now)
    assert isinstance(allowed, Allow)
    assert allowed.spent is not None
    assert allowed.spent.token.expires_at_ms == now
    assert {"signature", "signature-input"} <= set(allowed.headers_to_remove)


async def test_another_nonce_does_not_deliver_the_event_of_a_header_again() -> None:
    desk = Peers()
    assert isinstance(await desk.send(("x-event", "evt-1"), name="n-1"), Allow)
    again = await desk.send(("x-event", "evt-1"), name="n-2")
    assert isinstance(again, Deny)
    assert (again.reason, again.status) == (Reason.EVENT_REPEATED, 409)
    other = await desk.send(("x-event", "evt-2"), name="n-1")
    assert isinstance(other, Deny)
    assert other.reason is Reason.SIGNATURE_REPLAYED
