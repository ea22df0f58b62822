"""Which requests leave with a token, and what keeps one from leaving."""

import asyncio
import hashlib

import pytest

from ott_extauthz.check.attaching import Attaching
from ott_extauthz.model.body import Body
from ott_extauthz.model.decision import Allow, AttachedToken, Decision, Deny
from ott_extauthz.model.reason import Reason
from ott_extauthz.observe.audit import line_from
from ott_extauthz.ports import MintedToken, TokenSourceError, TokenWanted
from tests.fakes.desk import Desk

OUTBOUND = [("ott.direction", "outbound")]
POLICY = """
revision: "r1"
routes:
  - name: to-wallet
    match: {hosts: [wallet.api], methods: [POST], path: "/v1/wallets/{wallet}/debit"}
    attach: one_time_token
    audience: wallet.api
    scopes: ["wallet:debit"]
    when: 'request.path_params.wallet != "frozen"'
  - name: bound
    match: {hosts: [wallet.api], methods: [POST], path: "/v1/wallets/{wallet}/bound"}
    attach: one_time_token
    audience: wallet.api
    bound_to_request: [method, path, body]
  - name: empty
    match: {hosts: [wallet.api], methods: [POST], path: /v1/empty}
    attach: one_time_token
    audience: wallet.api
    bound_to_request: [body]
    allow_unbuffered_empty: true
  - name: bearer
    match: {hosts: [ledger.api], path: /v1/entries}
    attach: one_time_token
    audience: ledger.api
    to: {header: authorization, scheme: Bearer}
"""


class Source:
    """Hands out what a test put there."""

    def __init__(self, *answers: str | Exception | None) -> None:
        self.answers = list(answers)
        self.wanted: list[TokenWanted] = []

    async def take(self, wanted: TokenWanted) -> MintedToken:
        self.wanted.append(wanted)
        answer = self.answers.pop(0)
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        assert answer is not None
        return MintedToken(answer, 0, 30_000)


class AttachingDesk(Desk):
    def __init__(self, *answers: str | Exception | None) -> None:
        super().__init__(policy=POLICY)
        self.source = Source(*answers)
        object.__setattr__(self.checker, "attaching", Attaching(tokens=self.source, clock=self.clock))

    async def sent(
        self, *headers: tuple[str, str], path: str = "/v1/wallets/7/debit", body: Body | None = None, **request: object
    ) -> Decision:
        request = {"extensions": OUTBOUND, "path": path} | request
        facts = self.facts(*headers, **request)  # type: ignore[arg-type]
        if body is not None:
            object.__setattr__(facts, "body", body)
        return await self.ask(facts)


def allowed(decision: Decision) -> Allow:
    assert isinstance(decision, Allow)
    return decision


def token(decision: Decision) -> AttachedToken:
    attached = allowed(decision).attached
    assert isinstance(attached, AttachedToken)
    return attached


def reason(decision: Decision) -> Reason:
    assert isinstance(decision, Deny)
    return decision.reason


async def test_a_request_leaves_with_the_token_that_its_route_asks_for() -> None:
    desk = AttachingDesk("token-1")
    attached = token(await desk.sent())
    assert (attached.header, attached.header_value, attached.audience) == ("x-ott", "token-1", "wallet.api")
    assert desk.source.wanted == [TokenWanted(audience="wallet.api", scope=frozenset({"wallet:debit"}))]
    assert desk.observer.spends == 0


async def test_a_scheme_stands_before_the_token() -> None:
    attached = token(await AttachingDesk("t").sent(host="ledger.api", path="/v1/entries"))
    assert (attached.header, attached.header_value) == ("authorization", "Bearer t")


async def test_everything_in_our_family_that_the_workload_sent_is_removed() -> None:
    decision = allowed(
        await AttachingDesk("t").sent(("x-ott", "forged"), ("x-ott-subject", "root"), ("x-ott-new", "1"))
    )
    assert set(decision.headers_to_remove) == {"x-ott", "x-ott-subject", "x-ott-new"}


@pytest.mark.parametrize(
    "extensions", [[], [("ott.direction", "inbound")], [("ott.direction", "")], [("direction", "outbound")]]
)
async def test_a_caller_from_outside_never_passes_an_attaching_route(extensions: list[tuple[str, str]]) -> None:
    """Another service's name in Host is all it would take."""
    desk = AttachingDesk("t")
    assert reason(await desk.sent(extensions=extensions)) is Reason.NOT_OUTBOUND
    assert reason(await desk.sent(extensions=[*extensions, ("ott.route", "to-wallet")])) is Reason.NOT_OUTBOUND
    assert desk.source.wanted == []


async def test_a_condition_that_does_not_hold_keeps_the_request_here() -> None:
    desk = AttachingDesk("t")
    assert reason(await desk.sent(path="/v1/wallets/frozen/debit")) is Reason.CONDITION_NOT_MET
    assert desk.source.wanted == []


async def test_a_token_for_one_request_names_it() -> None:
    desk = AttachingDesk("t")
    allowed(await desk.sent(path="/v1/wallets/7/bound?x=1", body=Body(b"{}", is_complete=True)))
    digest = hashlib.sha256(b"{}").digest()
    [wanted] = desk.source.wanted
    assert (wanted.htm, wanted.htp, wanted.digest) == ("POST", "/v1/wallets/7/bound", digest)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (None, Reason.BODY_INCOMPLETE),
        (Body(b"{", is_complete=False), Reason.BODY_INCOMPLETE),
        (Body(b"!", is_complete=True, is_binary_safe=False), Reason.BODY_NOT_BINARY_SAFE),
    ],
)
async def test_a_digest_is_of_whole_bodies_only(body: Body | None, expected: Reason) -> None:
    desk = AttachingDesk("t")
    assert reason(await desk.sent(path="/v1/wallets/7/bound", body=body)) is expected
    assert desk.source.wanted == []


async def test_only_the_route_makes_a_body_that_nobody_buffered_empty() -> None:
    desk = AttachingDesk("t")
    allowed(await desk.sent(path="/v1/empty"))
    assert desk.source.wanted[0].digest == hashlib.sha256(b"").digest()


async def test_a_path_with_two_readings_is_signed_into_no_token() -> None:
    body = Body(b"{}", is_complete=True)
    decision = await AttachingDesk("t").sent(path="/v1/wallets/a;b/bound", body=body)
    assert reason(decision) is Reason.PATH_AMBIGUOUS


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TokenSourceError("the issuer does not answer", is_lasting=False), Reason.TOKEN_SOURCE_UNAVAILABLE),
        (TokenSourceError("invalid_scope", is_lasting=True), Reason.TOKEN_SOURCE_REFUSED),
        (RuntimeError("broken"), Reason.INTERNAL_ERROR),
    ],
)
async def test_without_a_token_nothing_leaves_and_the_caller_may_come_back(error: Exception, expected: Reason) -> None:
    desk = AttachingDesk(error)
    decision = await desk.sent()
    assert isinstance(decision, Deny)
    assert (decision.reason, decision.meaning.status, decision.retry_after_seconds) == (expected, 503, 1)
    assert decision.token_state is None


async def test_a_source_that_does_not_answer_is_not_waited_for_beyond_the_deadline() -> None:
    desk = AttachingDesk(None)
    decision = await asyncio.wait_for(desk.ask(desk.facts(extensions=OUTBOUND), budget=0.06), 10)
    assert reason(decision) is Reason.TOKEN_SOURCE_UNAVAILABLE


async def test_what_cannot_finish_is_not_begun() -> None:
    desk = AttachingDesk("t")
    assert reason(await desk.ask(desk.facts(extensions=OUTBOUND), budget=0.02)) is Reason.DEADLINE_TOO_NEAR
    assert desk.source.wanted == []


async def test_a_token_that_comes_too_late_is_no_allow() -> None:
    """Envoy has given up: an allow would be told nobody, and the audit would lie."""
    desk = AttachingDesk("t")
    take = desk.source.take

    async def late(wanted: TokenWanted) -> MintedToken:
        desk.clock.advance(300)
        return await take(wanted)

    desk.source.take = late  # type: ignore[method-assign]
    assert reason(await desk.sent()) is Reason.DEADLINE_TOO_NEAR


async def test_a_server_without_a_source_refuses() -> None:
    desk = AttachingDesk()
    object.__setattr__(desk.checker, "attaching", None)
    assert reason(await desk.sent()) is Reason.TOKEN_SOURCE_REFUSED


async def test_the_audit_names_the_token_and_never_shows_it() -> None:
    desk = AttachingDesk()
    text = desk.token()
    desk.source.answers.append(text)
    decision = allowed(await desk.sent())
    [record] = desk.audit.records
    line = line_from(record)
    assert (line["attached"], line["audience"], line["token_state"]) == (True, "wallet.api", None)
    checked = Desk()
    spent = allowed(await checked.ask(checked.facts(("x-ott", text)))).spent
    assert spent is not None
    assert line["token_id"] == spent.token.public_id
    for written in (repr(record), repr(decision), str(line)):
        assert text not in written
        assert text.rsplit(".", 1)[1] not in written


async def test_an_encrypted_token_has_no_name_that_we_could_read() -> None:
    attached = token(await AttachingDesk("a.b.c.d.e").sent())
    assert attached.public_id is None
