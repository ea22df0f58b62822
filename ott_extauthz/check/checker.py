"""What do we answer to one request?  The steps, in the order that keeps tokens safe.

  1. route        canonical method, host and path, then headers, select a route; none is a refusal
  2. credential   exactly what the route asks for, from where it says (:mod:`ott_extauthz.check.credentials`)
  3. verify       opened if it is sealed; type, signature, issuer, audience, times; what must be looked up is, and then
                  the steps are gone through again
  4. bind         the caller's certificate, the caller's workload identity, the key that the caller has
  5. authorize    clients, roles, scopes, age of the login, the request a token is for, constraints, conditions
  6. spend        last and atomically: a call refused at 1-5 keeps its token, a forged copy never burns a good one;
                  a mandate is not spent, but what its use costs is taken here
  7. allow        with the credential and every spoofed identity header removed

A route that attaches has other steps after the first: :mod:`ott_extauthz.check.attaching`.

Afterwards the decision is written down, then told; a required audit that fails turns it into a refusal.  A route in
shadow goes as far as step 5 and lets the request on whatever they say; a second policy speaks after the answer
(:mod:`ott_extauthz.check.shadow`).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, repeat

from ott_extauthz.check.attaching import Attaching, Leaving, leaving_from, unwanted
from ott_extauthz.check.attempt import Attempt, Leaves
from ott_extauthz.check.credentials.combining import Credentials, Proven
from ott_extauthz.check.credentials.credential import LookUp
from ott_extauthz.check.shadow import Outcome, SecondPolicy, in_shadow, let_on
from ott_extauthz.check.signing_out import LeavingSigned
from ott_extauthz.check.single_use import SingleUse
from ott_extauthz.check.spending import Ready, each_counter_once, spendings
from ott_extauthz.model.decision import Allow, Decision, Deny
from ott_extauthz.model.facts import Facts, Malformed, spoofed
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection, TokenState
from ott_extauthz.model.shown import shown_host, shown_path
from ott_extauthz.model.step import Step
from ott_extauthz.model.token import VerifiedToken
from ott_extauthz.policy.asked import Asked, Outgoing
from ott_extauthz.policy.document import Policy
from ott_extauthz.policy.requirements import authorized, narrowed
from ott_extauthz.policy.routes import CredentialKind, Route
from ott_extauthz.policy.target import canonical_target
from ott_extauthz.ports import AsnLookup, AuditError, AuditTrail, Charge, CheckObserver, CheckRecord, Clock, Entropy

LOOK_UP_RESERVE_SECONDS = 0.02
"""Kept back from the deadline when somebody else is asked, so that what follows, or a refusal, still reaches Envoy."""

ROUTE_EXTENSION = "ott.route"
"""The key of Envoy's per-route ``context_extensions`` that names a route of the policy; the match is still checked."""

DECISION_ID_BYTES = 16
REPLAYS = frozenset({Reason.TOKEN_REPLAYED, Reason.DPOP_PROOF_REPLAYED, Reason.SIGNATURE_REPLAYED})
"""Second uses that are worth an alarm; a repeated event is not, for senders are told to send until they hear of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checker:
    """Judges requests.  ``policy`` is asked once per Check, so that one decision never mixes two revisions.

    ``is_timed`` has each step's beginning noted, for whoever traces.
    """

    policy: Callable[[], Policy]
    credentials: Credentials
    single_use: SingleUse
    audit: AuditTrail
    observer: CheckObserver
    clock: Clock
    entropy: Entropy
    region: str | None = None
    asn_of: AsnLookup | None = None
    second: SecondPolicy | None = None
    attaching: Attaching | None = None
    is_timed: bool = False

    async def check(self, facts: Facts | Malformed, *, deadline: float) -> Decision:
        """Return Allow or Deny, never an exception but cancellation; ``deadline`` is in monotonic seconds."""
        started, attempt = self.clock.monotonic(), self.begin()
        try:
            decision = await self.decide(facts, attempt, deadline)
        except asyncio.CancelledError:
            self._conclude(facts, attempt, started, deadline, attempt.deny_for_fault(Reason.CHECK_CANCELLED))
            raise
        except Exception as error:  # noqa: BLE001 - whatever broke, the answer is a refusal that is counted by type
            self.observer.faulted(type(error).__name__)
            decision = attempt.deny_for_fault(Reason.INTERNAL_ERROR)
        answer = self._conclude(facts, attempt, started, deadline, decision)
        if self.second is not None:
            self.second.ask_later(facts, attempt, answer, self._authorized)
        return answer

    def begin(self) -> Attempt:
        """Return a new attempt, at one instant and under one policy."""
        return Attempt(
            decision_id=self.entropy(DECISION_ID_BYTES).hex(),
            policy=self.policy(),
            now_ms=self.clock.now_ms(),
            timer=self.clock.monotonic if self.is_timed else None,
        )

    async def decide(self, facts: Facts | Malformed, attempt: Attempt, deadline: float) -> Decision:
        """Go through the steps, telling nobody; what ``attempt`` found out stays readable, however it ends."""
        ready = self._authorized_or_fault(facts, attempt)
        while isinstance(ready, LookUp):
            await self._look_up(ready, attempt, deadline)
            ready = self._authorized_or_fault(facts, attempt)
        if in_shadow(facts, attempt.route):
            return let_on(facts, attempt, ready)
        if isinstance(ready, Decision):
            return ready
        if isinstance(ready, Leaving | LeavingSigned):
            return await self._sent_off(ready, attempt, deadline)
        attempt.enter(Step.SPEND)
        attempts = spendings(ready, attempt.decision_id, self.entropy)
        spent = await self.single_use.spend_all(ready.once, attempts, now_ms=attempt.now_ms, deadline=deadline)
        if isinstance(spent, Rejection):
            return attempt.deny(spent)
        attempt.enter(Step.ALLOW)
        return attempt.allow(ready.route, spent, _leaves(ready, attempt))

    async def _look_up(self, question: LookUp, attempt: Attempt, deadline: float) -> None:
        if question.key in attempt.answers:
            raise RuntimeError("a credential asks for what it was told already")
        left = deadline - self.clock.monotonic() - LOOK_UP_RESERVE_SECONDS
        attempt.answers[question.key] = await question.ask(max(left, 0.0))
        # All is judged anew, at the instant that it is: what has ended has, and to the store our clock is not slow.
        attempt.now_ms = self.clock.now_ms()

    async def _sent_off(self, leaving: Leaving | LeavingSigned, attempt: Attempt, deadline: float) -> Decision:
        if self.attaching is None:
            return attempt.deny(Rejection(Reason.TOKEN_SOURCE_REFUSED, detail="ott.yaml has no attach"))
        attached = await self.attaching.attach(leaving, deadline=deadline)
        if isinstance(attached, Rejection):
            return attempt.deny(attached)
        attempt.enter(Step.ALLOW)
        return attempt.let_leave(leaving.route, attached, unwanted(leaving))

    def _authorized_or_fault(self, facts: Facts | Malformed, attempt: Attempt) -> Outcome:
        try:
            return self._authorized(facts, attempt)
        except Exception as error:
            if not in_shadow(facts, attempt.route):
                raise
            self.observer.faulted(type(error).__name__)
            return attempt.deny_for_fault(Reason.INTERNAL_ERROR)

    def _authorized(self, facts: Facts | Malformed, attempt: Attempt) -> Outcome:
        """Go as far as one can without changing anything: steps 1 to 5."""
        if isinstance(facts, Malformed):
            return attempt.deny(Rejection(facts.reason))
        attempt.enter(Step.ROUTE)
        route = _route(facts, attempt)
        if isinstance(route, Rejection):
            return attempt.deny(route)
        attempt.route = route
        if route.credential is CredentialKind.PUBLIC:
            attempt.enter(Step.ALLOW)
            return attempt.allow(route, None, Leaves(headers_to_remove=spoofed(facts)))
        if route.credential is CredentialKind.ATTACHED:
            attempt.enter(Step.ATTACH)
            outcome = leaving_from(route, self._outgoing(facts, attempt))
            return attempt.deny(outcome) if isinstance(outcome, Rejection) else outcome
        proven = self.credentials.proven(route, facts, attempt)
        if isinstance(proven, Rejection):
            return attempt.deny(proven)
        if isinstance(proven, LookUp):
            return proven
        attempt.enter(Step.AUTHORIZE)
        charges = self._charges(route, facts, attempt, proven)
        if isinstance(charges, Rejection):
            return attempt.deny(charges)
        ready = Ready(facts=facts, route=route, proven=proven, charges=charges)
        return attempt.deny(Rejection(Reason.REPEATS_REQUESTED)) if ready.would_be_repeated else ready

    def _charges(
        self, route: Route, facts: Facts, attempt: Attempt, proven: Proven
    ) -> tuple[tuple[Charge, ...], ...] | Rejection:
        charges: list[tuple[Charge, ...]] = []
        for judge, verified in zip(chain([authorized], repeat(narrowed)), proven, strict=False):
            found = judge(route, self._asked(facts, attempt, verified.token))
            if isinstance(found, Rejection):
                return found
            charges.append(found)
        return each_counter_once(charges)

    def _outgoing(self, facts: Facts, attempt: Attempt) -> Outgoing:
        assert attempt.target is not None  # noqa: S101 - a route was found for it
        return Outgoing(
            facts=facts,
            target=attempt.target,
            now_ms=attempt.now_ms,
            policy_revision=attempt.policy_revision,
            region=self.region,
            asn_of=self.asn_of,
        )

    def _asked(self, facts: Facts, attempt: Attempt, token: VerifiedToken) -> Asked:
        assert attempt.target is not None  # noqa: S101 - a route was found for it
        return Asked(
            facts=facts,
            target=attempt.target,
            token=token,
            now_ms=attempt.now_ms,
            policy_revision=attempt.policy_revision,
            region=self.region,
            clients=attempt.policy.clients,
            asn_of=self.asn_of,
        )

    def _conclude(
        self, facts: Facts | Malformed, attempt: Attempt, started: float, deadline: float, decision: Decision
    ) -> Decision:
        record = CheckRecord(
            decision=decision,
            facts=facts,
            host=shown_host(attempt.target.host) if attempt.target else None,
            path=shown_path(attempt.target.path) if attempt.target else None,
            at_ms=attempt.began_ms,
            seconds=self.clock.monotonic() - started,
            began=started,
            marks=attempt.marks,
            seconds_left=deadline - started,
        )
        try:
            self.audit.write(record)
        except AuditError:
            record.decision = attempt.deny(Rejection(Reason.AUDIT_UNAVAILABLE, _token_state_after(decision)))
        self.observer.decided(record)
        if isinstance(record.decision, Deny) and record.decision.reason in REPLAYS:
            self.observer.replayed(record)
        return record.decision


def _leaves(ready: Ready, attempt: Attempt) -> Leaves:
    """Return how an authorized request goes on: without the credentials that it came with."""
    carriers = [header for verified in ready.proven for header in verified.carriers]
    return Leaves(
        headers_to_remove=(*carriers, *spoofed(ready.facts)),
        headers_to_keep=attempt.headers_to_keep,
        headers_to_set=tuple(each for verified in ready.proven for each in verified.headers_to_set),
        response_headers=tuple(each for verified in ready.proven for each in verified.response_headers),
    )


def _route(facts: Facts, attempt: Attempt) -> Route | Rejection:
    target = canonical_target(facts.method, facts.scheme, facts.host, facts.path)
    if isinstance(target, Rejection):
        return target
    attempt.target = target
    name = facts.context_extensions.get(ROUTE_EXTENSION)
    if name is None:
        return attempt.policy.table.match(facts.method, target, facts.headers)
    return attempt.policy.table.named(name, facts.method, target, facts.headers)


def _token_state_after(decision: Decision) -> TokenState:
    match decision:
        case Allow():
            spent = decision.spent
            return TokenState.SPENT if spent and not spent.token.may_come_again else TokenState.UNSPENT
        case Deny():
            return decision.token_state or TokenState.UNSPENT
