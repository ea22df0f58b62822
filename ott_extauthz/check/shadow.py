"""What would have been answered?  Two ways to try a rule on real traffic; neither spends, neither refuses.

- A route in shadow: steps 1 to 5 as always, then the request goes on whatever they said.  It goes on without identity
  headers, for its token was not spent, and without its credential, as when the route is enforced.  What comes before a
  route is known (a malformed request, an ambiguous path) still refuses.
- A second policy: the same facts, after the answer is out.  Whatever happens in it, the answer is the answer.

Envoy's per-route ``context_extensions: {ott.mode: enforce}`` enforces a route that the policy has in shadow.  It can
only narrow: no value puts an enforced route into shadow, and one that is not ``shadow`` enforces.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ott_extauthz.check.attaching import Leaving
from ott_extauthz.check.attempt import Attempt, Leaves
from ott_extauthz.check.credentials.access_tokens import cookie_carriers, cookies_left
from ott_extauthz.check.credentials.credential import LookUp
from ott_extauthz.check.credentials.possession import PROOF_HEADER
from ott_extauthz.check.signing_out import LeavingSigned
from ott_extauthz.check.spending import Ready
from ott_extauthz.model.decision import Allow, Decision
from ott_extauthz.model.facts import Facts, Malformed, spoofed
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.shown import shown_host, shown_path
from ott_extauthz.policy.document import Policy
from ott_extauthz.policy.document.credential import TOKENS
from ott_extauthz.policy.routes import Route
from ott_extauthz.ports import AuditTrail, CheckObserver, ShadowRecord

MODE_EXTENSION: Final = "ott.mode"
MOST_WAITING: Final = 1000
"""Second opinions that may wait at a time; in an overload they are left out, and counted, before any answer suffers."""

Outcome = Decision | Ready | Leaving | LeavingSigned | LookUp
"""How far a request comes without changing anything."""

Authorize = Callable[[Facts | Malformed, Attempt], Outcome]
"""Steps 1 to 5, which change nothing."""

Later = Callable[[Callable[[], None]], None]
"""Calls back once what is under way now is done."""


def in_shadow(facts: Facts | Malformed, route: Route | None) -> bool:
    """Whether this request goes on whatever the route says."""
    if route is None or not route.shadow or isinstance(facts, Malformed):
        return False
    return facts.context_extensions.get(MODE_EXTENSION, "shadow") == "shadow"


def let_on(facts: Facts | Malformed, attempt: Attempt, outcome: Outcome) -> Allow:
    """Let a request on over a route in shadow, with what the route would have said."""
    route = attempt.route
    assert route is not None  # noqa: S101 - only a route can be in shadow
    assert isinstance(facts, Facts)  # noqa: S101 - it was routed
    carriers = [asks.header for asks in route.parts if asks.header and asks.cookie is None]
    leaves = Leaves(
        headers_to_remove=(*carriers, *_proofs(route, facts), *cookie_carriers(route), *spoofed(facts)),
        headers_to_keep=attempt.headers_to_keep,
        headers_to_set=cookies_left(route, facts.headers),
    )
    return attempt.allow(route, None, leaves, _would_be(attempt, outcome))


def _proofs(route: Route, facts: Facts) -> tuple[str, ...]:
    """A proof goes with its token; any token may be bound to a key."""
    is_taken = any(asks.credential in TOKENS and not asks.keeps_credential for asks in route.parts)
    return (PROOF_HEADER,) if is_taken and PROOF_HEADER in facts.headers else ()


def _would_be(attempt: Attempt, outcome: Outcome) -> Decision:
    """A request that only the used-list, or the source of tokens, could still have refused counts as an allow."""
    if isinstance(outcome, LookUp):  # a second opinion asks nobody: what the first one did not need is not known
        return attempt.deny(outcome.unasked)
    return outcome if isinstance(outcome, Decision) else attempt.allow(outcome.route, None, Leaves())


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondPolicy:
    """Asks another policy about requests that are answered already."""

    policy: Callable[[], Policy]
    audit: AuditTrail
    observer: CheckObserver
    later: Later
    _waiting: deque[Callable[[], None]] = field(default_factory=deque)

    def ask_later(self, facts: Facts | Malformed, attempt: Attempt, answer: Decision, authorize: Authorize) -> None:
        """Have the second policy decide after the answer is out; never raises."""
        if len(self._waiting) >= MOST_WAITING:
            self.observer.shadow_skipped()
            return
        self._waiting.append(lambda: self._ask(facts, attempt, answer, authorize))
        try:
            self.later(self._ask_next)
        except Exception as error:  # noqa: BLE001 - a second opinion must never cost the first
            self._waiting.pop()
            self.observer.faulted(type(error).__name__)

    def _ask_next(self) -> None:
        ask = self._waiting.popleft()
        try:
            ask()
        except Exception as error:  # noqa: BLE001 - the request is answered; a fault here is counted by type
            self.observer.faulted(type(error).__name__)

    def _ask(self, facts: Facts | Malformed, answered: Attempt, answer: Decision, authorize: Authorize) -> None:
        attempt = Attempt(
            decision_id=answered.decision_id, policy=self.policy(), now_ms=answered.now_ms, answers=answered.answers
        )
        try:
            would_be = _would_be(attempt, authorize(facts, attempt))
        except Exception as error:  # noqa: BLE001 - enforced, this fault would have been a refusal
            self.observer.faulted(type(error).__name__)
            would_be = attempt.deny_for_fault(Reason.INTERNAL_ERROR)
        record = ShadowRecord(
            answer=answer,
            would_be=would_be,
            facts=facts,
            host=shown_host(answered.target.host) if answered.target else None,
            path=shown_path(answered.target.path) if answered.target else None,
            at_ms=answered.began_ms,
        )
        self.audit.write_shadow(record)
        self.observer.shadowed(record)
