"""What do we answer to one request?  The steps, in the order that keeps tokens safe.

  1. route        canonical method, host and path select a route; none is a refusal
  2. credential   exactly one, from where the route says
  3. verify       signature, type, issuer, audience, times
  4. bind         the caller's certificate, the caller's workload identity
  5. authorize    clients, scopes, restrictions, age of the login
  6. spend        last and atomically: a call refused at 1-5 keeps its token, a forged copy never burns a good one
  7. allow        with the credential and every spoofed identity header removed

Afterwards the decision is written down, then told; a required audit that fails turns it into a refusal.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from ott_extauthz.authn.binding import binding_fault
from ott_extauthz.authn.extract import presented_in
from ott_extauthz.authn.one_time_token import OneTimeTokenVerifier
from ott_extauthz.check.attempt import Attempt
from ott_extauthz.check.single_use import SingleUse
from ott_extauthz.check.spending import spending
from ott_extauthz.model.decision import Allow, Decision, Deny
from ott_extauthz.model.facts import Facts, Malformed, is_ours
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection, TokenState
from ott_extauthz.policy.document import Policy
from ott_extauthz.policy.requirements import unmet
from ott_extauthz.policy.routes import BoundTo, CredentialKind, Route
from ott_extauthz.policy.target import canonical_target
from ott_extauthz.ports import AuditError, AuditTrail, CheckObserver, CheckRecord, Clock, Entropy

ROUTE_EXTENSION = "ott.route"
"""The key of Envoy's per-route ``context_extensions`` that names a route of the policy; the match is still checked."""

DECISION_ID_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Checker:
    """Judges requests.  ``policy`` is asked once per Check, so that one decision never mixes two revisions."""

    policy: Callable[[], Policy]
    verifier: OneTimeTokenVerifier
    single_use: SingleUse
    audit: AuditTrail
    observer: CheckObserver
    clock: Clock
    entropy: Entropy

    async def check(self, facts: Facts | Malformed, *, deadline: float) -> Decision:
        """Return Allow or Deny, never an exception but cancellation; ``deadline`` is in monotonic seconds."""
        started, policy = self.clock.monotonic(), self.policy()
        attempt = Attempt(
            decision_id=self.entropy(DECISION_ID_BYTES).hex(),
            policy_revision=policy.revision,
            now_ms=self.clock.now_ms(),
        )
        try:
            decision = await self._decide(facts, policy, attempt, deadline)
        except asyncio.CancelledError:
            self._conclude(facts, attempt, started, attempt.deny_for_fault(Reason.CHECK_CANCELLED))
            raise
        except Exception as error:  # noqa: BLE001 - whatever broke, the answer is a refusal that is counted by type
            self.observer.faulted(type(error).__name__)
            decision = attempt.deny_for_fault(Reason.INTERNAL_ERROR)
        return self._conclude(facts, attempt, started, decision)

    async def _decide(self, facts: Facts | Malformed, policy: Policy, attempt: Attempt, deadline: float) -> Decision:
        if isinstance(facts, Malformed):
            return attempt.deny(Rejection(facts.reason))
        # 1 route
        route = _route(facts, policy, attempt)
        if isinstance(route, Rejection):
            return attempt.deny(route)
        attempt.route = route
        if route.credential is CredentialKind.PUBLIC:
            return attempt.allow(route, None, _spoofed(facts))
        # 2 credential
        presented = presented_in(facts.headers, header=route.header, scheme=route.scheme)
        if isinstance(presented, Rejection):
            return attempt.deny(presented)
        attempt.credential_presented = True
        # 3 verify
        token = self.verifier.verify(presented.text, audience=route.audience, now_ms=attempt.now_ms)
        if isinstance(token, Rejection):
            return attempt.deny(token)
        attempt.token = token
        # 4 bind
        fault = binding_fault(
            token,
            facts.peer,
            needs_certificate=BoundTo.CERTIFICATE in route.bound_to,
            needs_workload=BoundTo.WORKLOAD in route.bound_to,
        )
        # 5 authorize
        fault = fault or unmet(route, token, attempt.now_ms)
        if fault is not None:
            return attempt.deny(Rejection(fault))
        # 6 spend
        attempt.is_spending = True
        attempt_to_spend = spending(token, facts, route, attempt.decision_id, self.entropy)
        spent = await self.single_use.spend(attempt_to_spend, now_ms=attempt.now_ms, deadline=deadline)
        if isinstance(spent, Rejection):
            return attempt.deny(spent)
        # 7 allow
        kept = presented.header if route.keeps_credential else None
        return attempt.allow(route, spent, (presented.header, *_spoofed(facts)), kept)

    def _conclude(self, facts: Facts | Malformed, attempt: Attempt, started: float, decision: Decision) -> Decision:
        record = CheckRecord(
            decision=decision,
            facts=facts,
            host=attempt.target.host if attempt.target else None,
            path=attempt.target.path if attempt.target else None,
            at_ms=attempt.now_ms,
            seconds=self.clock.monotonic() - started,
        )
        try:
            self.audit.write(record)
        except AuditError:
            record.decision = attempt.deny(Rejection(Reason.AUDIT_UNAVAILABLE, _token_state_after(decision)))
        self.observer.decided(record)
        if isinstance(record.decision, Deny) and record.decision.reason is Reason.TOKEN_REPLAYED:
            self.observer.replayed(record)
        return record.decision


def _route(facts: Facts, policy: Policy, attempt: Attempt) -> Route | Rejection:
    target = canonical_target(facts.method, facts.scheme, facts.host, facts.path)
    if isinstance(target, Rejection):
        return target
    attempt.target = target
    name = facts.context_extensions.get(ROUTE_EXTENSION)
    if name is None:
        return policy.table.match(facts.method, target)
    return policy.table.named(name, facts.method, target)


def _spoofed(facts: Facts) -> tuple[str, ...]:
    """Every header the client sent in our family; what we set ourselves is taken out again by the encoder."""
    return tuple(filter(is_ours, facts.headers))


def _token_state_after(decision: Decision) -> TokenState:
    match decision:
        case Allow():
            return TokenState.SPENT
        case Deny():
            return decision.token_state or TokenState.UNSPENT
