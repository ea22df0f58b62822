"""A signed request is good for one delivery: what attackers, and partners that try again, do with one."""

import asyncio
import dataclasses

import pytest

from ott_extauthz.authn.partners import Partner, SharedSecret, SignatureForm
from ott_extauthz.authn.webhooks.stamped import stamped_headers
from ott_extauthz.check.credentials.signed_requests import SignedRequestCredential
from ott_extauthz.check.credentials.webhooks import WEBHOOKS
from ott_extauthz.model.body import NO_BODY, Body
from ott_extauthz.model.decision import Allow, Deny
from ott_extauthz.model.once import OnceKind
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import TokenState
from ott_extauthz.model.token import TokenKind
from ott_extauthz.policy.routes import CredentialKind
from ott_extauthz.ports import UsedList
from ott_extauthz.stores.memory import MemoryUsedList
from tests.fakes.clock import FakeClock
from tests.fakes.desk import Desk
from tests.fakes.partners import (
    BODY,
    HOOK,
    HOOK_SECRET,
    LAB,
    NONCE,
    OLD_SECRET,
    OTHER_SECRET,
    PSP,
    PUBLIC_KEY,
    SECRET,
    Sent,
    by_name,
    changed,
    partner,
)

POLICY = """
revision: "r1"
routes:
  - name: hooks
    match: {path: /hooks}
    credential: signed_request
  - name: other
    match: {path: /other}
    credential: signed_request
    signed_request: {window: 1h, ahead: 1m}
  - name: psp-only
    match: {path: /psp}
    credential: signed_request
    signed_request: {partners: [psp]}
  - name: events
    match: {path: /events}
    credential: signed_request
    audience: events.api
    signed_request: {event: {pointer: /event/id, on_repeat: 200}}
  - name: strict-events
    match: {path: /strict}
    credential: signed_request
    signed_request: {event: {pointer: /event/id}}
  - name: short-events
    match: {path: /short}
    credential: signed_request
    signed_request: {event: {pointer: /event/id, keep: 1s}}
  - name: unsigned-event
    match: {path: /unsigned}
    credential: signed_request
    signed_request: {event: {header: x-event}}
  - name: nonce-event
    match: {path: /nonce}
    credential: signed_request
    signed_request: {event: {header: x-nonce}}
  - name: silent
    match: {path: /silent}
    credential: signed_request
    allow_unbuffered_empty: true
  - name: scoped
    match: {path: /scoped}
    credential: signed_request
    scopes: ["hooks:write"]
  - name: either
    match: {path: /either}
    any_of: [{credential: signed_request}, {credential: one_time_token}]
    audience: wallet.api
"""
COMPLETE = Body(BODY, is_complete=True)
STANDARD = SignatureForm.STANDARD_WEBHOOKS


class Hooks(Desk):
    """A desk that partners send to."""

    def __init__(self, *partners: Partner, used_list: UsedList | None = None) -> None:
        self.partners = by_name(*(partners or (PSP, LAB, HOOK)))
        credential = SignedRequestCredential(partners=lambda: self.partners, verifiers=WEBHOOKS)
        super().__init__(used_list, policy=POLICY, more={CredentialKind.SIGNED_REQUEST: credential})
        self.clock.advance(600_000)  # past what a list that was just made cannot vouch for

    def signed(self, **changes: object) -> Sent:
        return Sent(**({"at_ms": self.clock.now_ms()} | changes))  # type: ignore[arg-type]

    async def send(
        self, sent: Sent, path: str = "/hooks", *, body: Body | None = None, lines: tuple[tuple[str, str], ...] = ()
    ) -> Allow | Deny:
        facts = self.facts(*(lines or sent.lines), path=path)
        return await self.ask(dataclasses.replace(facts, body=body or Body(sent.body, is_complete=True)))

    async def refused(self, sent: Sent, path: str = "/hooks", **request: object) -> Reason:
        decision = await self.send(sent, path, **request)  # type: ignore[arg-type]
        assert isinstance(decision, Deny)
        return decision.reason

    async def let_in(self, sent: Sent, path: str = "/hooks", **request: object) -> Allow:
        decision = await self.send(sent, path, **request)  # type: ignore[arg-type]
        assert isinstance(decision, Allow), decision
        return decision


def hook(desk: Hooks, **changes: object) -> Sent:
    return desk.signed(**({"form": STANDARD, "name": "msg_1", "secret": HOOK_SECRET} | changes))


# --- what holds ----------------------------------------------------------------------------------------------------


async def test_each_form_is_let_in_once_as_its_partners_client_and_without_its_signature() -> None:
    desk = Hooks()
    for sent, client, carrier in (
        (desk.signed(), "client-psp", "x-signature"),
        (desk.signed(form=SignatureForm.EDDSA, name="another-nonce-of-it"), "client-lab", "x-signature"),
        (hook(desk), "client-hook", "webhook-signature"),
    ):
        allowed = await desk.let_in(sent)
        assert allowed.spent is not None
        token = allowed.spent.token
        assert (token.client_id, token.subject, token.kind) == (client, client, TokenKind.SIGNED_REQUEST)
        assert carrier in allowed.headers_to_remove
        assert not {"x-nonce", "x-timestamp", "webhook-id"} & set(allowed.headers_to_remove)
        assert await desk.refused(sent) in (Reason.SIGNATURE_REPLAYED, Reason.EVENT_REPEATED)


async def test_a_partners_scopes_are_what_the_operator_gave_it() -> None:
    desk = Hooks(partner("psp", SignatureForm.HMAC, SharedSecret(secret=SECRET), scopes=["hooks:write"]))
    await desk.let_in(desk.signed(), "/scoped")
    desk.partners = by_name(partner("psp", SignatureForm.HMAC, SharedSecret(secret=SECRET)))
    assert await desk.refused(desk.signed(name="another-nonce-of-it"), "/scoped") is Reason.SCOPE_MISSING


async def test_two_partners_may_choose_the_same_nonce() -> None:
    second = partner("second", SignatureForm.HMAC, SharedSecret(secret=OTHER_SECRET))
    desk = Hooks(PSP, second)
    await desk.let_in(desk.signed())
    await desk.let_in(desk.signed(secret=OTHER_SECRET))


# --- replays -------------------------------------------------------------------------------------------------------


async def test_a_replay_is_told_as_one_and_its_nonce_as_spent() -> None:
    desk = Hooks()
    sent = desk.signed()
    await desk.let_in(sent)
    again = await desk.send(sent)
    assert isinstance(again, Deny)
    assert (again.reason, again.status, again.token_state) == (Reason.SIGNATURE_REPLAYED, 401, TokenState.SPENT)


async def test_a_replay_to_another_route_is_refused_as_long_as_any_route_would_take_it() -> None:
    """`other` takes what is an hour old: a nonce that were forgotten after five minutes would be good there again."""
    desk = Hooks()
    sent = desk.signed()
    await desk.let_in(sent)
    for _ in range(58):
        assert await desk.refused(sent, "/other") is Reason.SIGNATURE_REPLAYED
        desk.clock.advance(60_000)
        await desk.let_in(desk.signed(name=f"nonce-{desk.clock.now_ms()}"))  # uses come and are swept
    assert await desk.refused(sent, "/other") is Reason.SIGNATURE_REPLAYED


async def test_a_replay_at_another_server_of_the_same_store_is_refused() -> None:
    desk = Hooks()
    other = Hooks(used_list=desk.used_list)
    other.entropy(16)  # else both servers would make the same attempt of it
    sent = desk.signed()
    await desk.let_in(sent)
    assert await other.refused(sent) is Reason.SIGNATURE_REPLAYED


async def test_of_twenty_at_once_one_is_let_in() -> None:
    desk = Hooks()
    sent = desk.signed()
    decisions = await asyncio.gather(*(desk.send(sent) for _ in range(20)))
    assert sum(isinstance(decision, Allow) for decision in decisions) == 1


async def test_the_same_nonce_over_another_body_is_refused() -> None:
    """Whoever signs uses a nonce once; what would count is the first, whatever else is signed under its name."""
    desk = Hooks()
    await desk.let_in(desk.signed())
    assert await desk.refused(desk.signed(body=b"{}")) is Reason.SIGNATURE_REPLAYED


@pytest.mark.parametrize(("seconds", "is_fenced"), [(45, True), (59, True), (61, False)])
async def test_a_list_that_forgot_refuses_what_any_route_would_have_taken_before(
    seconds: int, *, is_fenced: bool
) -> None:
    """`other` takes what is signed a minute ahead: such a request may have been there before the list was made."""
    now_ms = Hooks().clock.now_ms()
    made_then = MemoryUsedList(clock=FakeClock(now_ms - seconds * 1000), iat_lead_ms=0)
    desk = Hooks(used_list=made_then)
    decision = await desk.send(desk.signed())
    assert isinstance(decision, Deny) is is_fenced
    assert not isinstance(decision, Deny) or decision.reason is Reason.STORE_EPOCH


# --- what was changed ----------------------------------------------------------------------------------------------


async def test_a_changed_body_timestamp_or_nonce_breaks_the_signature() -> None:
    desk = Hooks()
    sent = desk.signed()
    for body in (BODY + b" ", BODY[:-1], b"", BODY.replace(b"12.50", b"92.50")):
        given = Body(body, is_complete=True)
        assert await desk.refused(sent, body=given) is Reason.SIGNATURE_INVALID
    other_nonce = changed(sent.lines, x_nonce="fedcba9876543210")
    assert await desk.refused(sent, lines=other_nonce) is Reason.SIGNATURE_INVALID
    later = changed(sent.lines, x_timestamp=str(int(sent.stamp) + 1))
    assert await desk.refused(sent, lines=later) is Reason.SIGNATURE_INVALID
    await desk.let_in(sent)


async def test_a_nonce_cannot_be_moved_across_the_dot() -> None:
    """The same signed bytes, cut elsewhere: a new nonce and another body, so that it would count as new."""
    desk = Hooks()
    sent = desk.signed(body=b"tail.body-of-the-message")
    await desk.let_in(sent)
    moved = changed(sent.lines, x_nonce=f"{NONCE}.tail")
    assert await desk.refused(sent, lines=moved, body=Body(b"body-of-the-message", is_complete=True)) is (
        Reason.SIGNATURE_MALFORMED
    )


async def test_forged_or_stale_requests_spend_nothing() -> None:
    desk = Hooks()
    sent = desk.signed()
    for _ in range(3):
        assert await desk.refused(sent, body=Body(b"x", is_complete=True)) is Reason.SIGNATURE_INVALID
    assert await desk.refused(desk.signed(at_ms=desk.clock.now_ms() - 301_000)) is Reason.SIGNATURE_TIME_REFUSED
    await desk.let_in(sent)


# --- keys ----------------------------------------------------------------------------------------------------------


async def test_an_old_secret_counts_until_it_is_taken_out() -> None:
    desk = Hooks()
    await desk.let_in(desk.signed(secret=OLD_SECRET))
    desk.partners = by_name(partner("psp", SignatureForm.HMAC, SharedSecret(secret=SECRET)))
    assert await desk.refused(desk.signed(secret=OLD_SECRET, name="another-nonce-of-it")) is Reason.SIGNATURE_INVALID


async def test_a_public_key_is_never_taken_for_a_shared_secret() -> None:
    """Everybody knows it: an HMAC with its bytes proves nothing."""
    desk = Hooks(LAB, PSP)
    known = bytes(PUBLIC_KEY.key.key)  # type: ignore[attr-defined]
    assert await desk.refused(desk.signed(secret=known)) is Reason.SIGNATURE_INVALID
    desk.partners = by_name(LAB)
    assert await desk.refused(desk.signed(secret=known)) is Reason.SIGNATURE_KEY_UNKNOWN
    desk.partners = by_name(partner("hook", STANDARD, PUBLIC_KEY))
    assert await desk.refused(hook(desk, secret=known)) is Reason.SIGNATURE_KEY_UNKNOWN


async def test_a_mac_under_the_word_of_the_other_form_is_no_signature() -> None:
    desk = Hooks()
    mac = dict(desk.signed().lines)["x-signature"].removeprefix("sha256=")
    lines = changed(desk.signed().lines, x_signature=f"eddsa={mac}")
    assert await desk.refused(desk.signed(), lines=lines) is Reason.SIGNATURE_MALFORMED


async def test_only_the_routes_own_partners_count() -> None:
    desk = Hooks()
    second = partner("second", SignatureForm.HMAC, SharedSecret(secret=OTHER_SECRET))
    desk.partners = by_name(PSP, second)
    assert await desk.refused(desk.signed(secret=OTHER_SECRET), "/psp") is Reason.SIGNATURE_INVALID
    desk.partners = by_name(second)  # psp was taken out, and the route still names it
    assert await desk.refused(desk.signed(), "/psp") is Reason.SIGNATURE_KEY_UNKNOWN


async def test_a_secret_shared_across_forms_signs_for_none_but_its_own() -> None:
    """id "." timestamp "." body has the shape of timestamp "." nonce "." body: neither can be told as the other."""
    desk = Hooks(partner("psp", SignatureForm.HMAC, SharedSecret(secret=SECRET)))
    desk.partners = by_name(partner("psp", STANDARD, SharedSecret(secret=SECRET)))
    sent = desk.signed()
    signature = dict(sent.lines)["x-signature"].replace("sha256=", "v1,")
    lines = (("webhook-id", sent.stamp), ("webhook-timestamp", NONCE), ("webhook-signature", signature))
    assert await desk.refused(sent, lines=lines) is Reason.SIGNATURE_MALFORMED


async def test_more_keys_than_may_be_tried_are_refused_not_searched() -> None:
    many = [
        partner(f"p{number}", SignatureForm.HMAC, *(SharedSecret(secret=b"%d-%d" % (number, key)) for key in range(8)))
        for number in range(9)
    ]
    desk = Hooks(*many)
    assert await desk.refused(desk.signed()) is Reason.SIGNATURE_KEY_UNKNOWN


# --- the form ------------------------------------------------------------------------------------------------------


async def test_nothing_signed_is_a_missing_credential_and_two_forms_are_two_credentials() -> None:
    desk = Hooks()
    assert await desk.refused(desk.signed(), lines=(("x-nonce", NONCE),)) is Reason.CREDENTIAL_MISSING
    both = (*desk.signed().lines, *hook(desk).lines)
    assert await desk.refused(desk.signed(), lines=both) is Reason.CREDENTIAL_DUPLICATED
    await desk.let_in(desk.signed(), "/psp", lines=both)  # a header that none of the route's partners sends is a header


async def test_a_second_signature_header_beside_a_good_one_refuses() -> None:
    desk = Hooks()
    sent = desk.signed()
    eddsa = stamped_headers(SignatureForm.EDDSA, sent.stamp, NONCE, b"\x01" * 64)[0]
    assert await desk.refused(sent, lines=(*sent.lines, eddsa)) is Reason.CREDENTIAL_DUPLICATED
    assert await desk.refused(sent, "/psp", lines=(*sent.lines, eddsa)) is Reason.CREDENTIAL_DUPLICATED


async def test_beside_a_token_a_signed_request_is_two_credentials() -> None:
    desk = Hooks()
    both = (*desk.signed().lines, ("x-ott", desk.token()))
    assert await desk.refused(desk.signed(), "/either", lines=both) is Reason.CREDENTIAL_DUPLICATED
    await desk.let_in(desk.signed(), "/either")


# --- time ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "age_ms", "is_good"),
    [
        ("/hooks", 300_000, True), ("/hooks", 301_000, False), ("/hooks", -30_000, True), ("/hooks", -31_000, False),
        ("/other", 3_540_000, True), ("/other", 3_601_000, False), ("/other", -60_000, True),
        ("/other", -61_000, False), ("/hooks", 10**12, False), ("/hooks", -(10**14), False),
    ],
)  # fmt: skip
async def test_the_window_is_the_routes(path: str, age_ms: int, *, is_good: bool) -> None:
    desk = Hooks()
    desk.clock.advance(7_200_000 - desk.clock.now_ms() % 1000)
    sent = desk.signed(at_ms=desk.clock.now_ms() - age_ms)
    if is_good:
        await desk.let_in(sent, path)
    else:
        assert await desk.refused(sent, path) is Reason.SIGNATURE_TIME_REFUSED


# --- the body ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (Body(BODY, is_complete=False), Reason.BODY_INCOMPLETE),  # a part, or buffered by nobody who vouches
        (NO_BODY, Reason.BODY_INCOMPLETE),  # chunked and unbuffered: the upstream will see a body that we did not
        (Body(BODY, is_complete=True, is_binary_safe=False), Reason.BODY_NOT_BINARY_SAFE),
    ],
)
async def test_a_body_that_nobody_vouches_for_is_not_judged(body: Body, reason: Reason) -> None:
    desk = Hooks()
    assert await desk.refused(desk.signed(), body=body) is reason


async def test_a_body_that_nobody_buffered_is_empty_only_where_the_route_says_so_and_the_signature_too() -> None:
    desk = Hooks()
    empty = desk.signed(body=b"")
    assert await desk.refused(empty, body=NO_BODY) is Reason.BODY_INCOMPLETE
    assert await desk.refused(desk.signed(), "/silent", body=NO_BODY) is Reason.SIGNATURE_INVALID
    part = Body(BODY, is_complete=False)  # its beginning: of that the route's word says nothing
    assert await desk.refused(desk.signed(), "/silent", body=part) is Reason.BODY_INCOMPLETE
    await desk.let_in(empty, "/silent", body=NO_BODY)


async def test_an_empty_body_that_envoy_vouches_for_is_one() -> None:
    desk = Hooks()
    await desk.let_in(desk.signed(body=b""))


# --- events --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "status"), [("/events", 200), ("/strict", 409)])
async def test_an_event_that_is_signed_anew_is_answered_as_the_route_says_and_not_delivered(
    path: str, status: int
) -> None:
    desk = Hooks()
    await desk.let_in(desk.signed(), path)
    desk.clock.advance(3_600_000)
    again = await desk.send(desk.signed(name="another-nonce-of-it"), path)
    assert isinstance(again, Deny)
    assert (again.reason, again.status, again.token_state) == (Reason.EVENT_REPEATED, status, TokenState.SPENT)
    await desk.let_in(desk.signed(name="a-third-nonce-of-it", body=BODY.replace(b"evt-1", b"evt-2")), path)


async def test_of_one_event_signed_twenty_times_at_once_one_is_delivered() -> None:
    desk = Hooks()
    sent = [desk.signed(name=f"nonce-number-{number:04}") for number in range(20)]
    decisions = await asyncio.gather(*(desk.send(each, "/events") for each in sent))
    assert sum(isinstance(decision, Allow) for decision in decisions) == 1
    told = [(one.reason, one.status) for one in decisions if isinstance(one, Deny)]
    assert told == [(Reason.EVENT_REPEATED, 200)] * 19


async def test_an_event_is_kept_for_a_day_and_within_its_sender_whatever_the_route() -> None:
    second = partner("second", SignatureForm.HMAC, SharedSecret(secret=OTHER_SECRET))
    desk = Hooks(PSP, second)
    await desk.let_in(desk.signed(), "/events")
    await desk.let_in(desk.signed(secret=OTHER_SECRET), "/events")  # another sender's own evt-1
    for hour in range(23):
        desk.clock.advance(3_600_000)
        assert await desk.refused(desk.signed(name=f"nonce-of-hour-{hour:04}"), "/strict") is Reason.EVENT_REPEATED
    desk.clock.advance(7_200_000)
    await desk.let_in(desk.signed(name="nonce-of-the-next-day"), "/events")


async def test_an_event_is_never_kept_shorter_than_its_signature_is_good() -> None:
    """Of a message whose id is its event there is no other guard against its replay."""
    desk = Hooks(HOOK)
    sent = hook(desk)
    await desk.let_in(sent, "/short")
    for _ in range(59):
        desk.clock.advance(60_000)
        await desk.let_in(
            hook(desk, name=f"m{desk.clock.now_ms()}", body=b'{"event":{"id":%d}}' % desk.clock.now_ms()), "/short"
        )
        assert await desk.refused(sent, "/other") is Reason.EVENT_REPEATED


@pytest.mark.parametrize(
    "body",
    [
        b"{}", b'{"event":{}}', b'{"event":{"id":null}}', b'{"event":{"id":""}}', b'{"event":{"id":1.5}}',
        b'{"event":{"id":true}}', b'{"event":{"id":["evt-1"]}}', b'{"event":{"id":{"a":1}}}',
        b'{"event":{"id":"' + b"e" * 257 + b'"}}', b'{"event":{"id":"a","ID":"b"}}', b'{"event":"evt-1"}', b"[]",
    ],
)  # fmt: skip
async def test_an_event_without_a_usable_name_is_refused_and_spends_nothing(body: bytes) -> None:
    desk = Hooks()
    assert await desk.refused(desk.signed(body=body), "/events") is Reason.EVENT_UNNAMED
    await desk.let_in(desk.signed(), "/events")


@pytest.mark.parametrize("body", [b"", b"evt-1", b'{"event":{"id":"a","id":"b"}}', b'{"event":{"id":"\xff"}}'])
async def test_a_body_that_parsers_read_differently_names_no_event(body: bytes) -> None:
    desk = Hooks()
    assert await desk.refused(desk.signed(body=body), "/events") is Reason.BODY_MALFORMED


async def test_a_number_names_an_event_like_its_digits() -> None:
    desk = Hooks()
    await desk.let_in(desk.signed(body=b'{"event":{"id":17}}'), "/events")
    text = desk.signed(body=b'{"event":{"id":"17"}}', name="another-nonce-of-it")
    assert await desk.refused(text, "/events") is Reason.EVENT_REPEATED


async def test_an_event_in_a_header_that_is_not_signed_is_not_believed() -> None:
    desk = Hooks()
    sent = desk.signed()
    lines = (*sent.lines, ("x-event", "evt-9"))
    assert await desk.refused(sent, "/unsigned", lines=lines) is Reason.SIGNATURE_INCOMPLETE
    await desk.let_in(sent, "/nonce")


async def test_standard_webhooks_name_their_event_and_a_retry_is_not_delivered_again() -> None:
    desk = Hooks()
    await desk.let_in(hook(desk))
    desk.clock.advance(3_600_000)
    retry = await desk.send(hook(desk))
    assert isinstance(retry, Deny)
    assert (retry.reason, retry.status) == (Reason.EVENT_REPEATED, 409)
    as_good_news = await desk.send(hook(desk), "/events")
    assert isinstance(as_good_news, Deny)
    assert as_good_news.status == 200


async def test_standard_webhooks_with_an_event_in_the_body_are_good_once_by_both_names() -> None:
    desk = Hooks()
    await desk.let_in(hook(desk), "/events")
    assert await desk.refused(hook(desk, name="msg_2"), "/events") is Reason.EVENT_REPEATED
    assert await desk.refused(hook(desk, body=b"{}"), "/hooks") is Reason.EVENT_REPEATED


def test_what_may_come_once_is_told_by_kind_and_length() -> None:
    desk = Hooks()
    facts = dataclasses.replace(desk.facts(*desk.signed().lines, path="/events"), body=COMPLETE)
    attempt = desk.checker.begin()
    route = desk.policy.table.routes[3]
    attempt.route = route
    target = desk.checker._authorized(facts, attempt)
    assert attempt.target is not None
    assert not isinstance(target, Deny)
    once = target.once  # type: ignore[union-attr]
    now = desk.clock.now_ms()
    nonce, event = once
    assert (nonce.kind, event.kind) == (OnceKind.NONCE, OnceKind.EVENT)
    assert nonce.acceptable_from_ms == event.acceptable_from_ms == now - 60_000
    assert (nonce.acceptable_until_ms, event.acceptable_until_ms) == (now + 3_600_000, now + 86_400_000)
    assert (nonce.repeat_status, event.repeat_status) == (None, 200)
    assert len(nonce.key) == len(event.key) == 32
