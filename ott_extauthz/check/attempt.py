"""What has this Check found out so far?  Filled step by step; the audit reads it however the Check ends."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ott_extauthz.check.challenge import challenges_for
from ott_extauthz.model.decision import Allow, Attached, Decision, Deny, SpentToken
from ott_extauthz.model.reason import REASONS, Code, Reason
from ott_extauthz.model.rejection import Rejection, TokenState
from ott_extauthz.model.step import Mark, Step
from ott_extauthz.model.token import VerifiedToken
from ott_extauthz.policy.document import Policy
from ott_extauthz.policy.routes import Asks, CredentialKind, Route
from ott_extauthz.policy.target import CanonicalTarget

RETRY_AFTER_SECONDS = 1
"""Faults of the store pass in about a second, and so does a fence; a client that waits and mints anew gets through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaves:
    """How a request leaves us: which headers go, stay although they would, or change, and what the client is told."""

    headers_to_remove: tuple[str, ...] = ()
    headers_to_keep: tuple[str, ...] = ()
    headers_to_set: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    response_headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One Check under way.  It starts from nothing found; only :meth:`allow` makes an Allow, out of evidence."""

    decision_id: str
    policy: Policy
    now_ms: int
    step: Step = Step.DECODE
    target: CanonicalTarget | None = None
    route: Route | None = None
    credential_presented: bool = False
    asks: Asks | None = None
    token: VerifiedToken | None = field(default=None, repr=False)
    answers: dict[bytes, object] = field(default_factory=dict, repr=False)
    timer: Callable[[], float] | None = None
    marks: list[Mark] = field(default_factory=list)
    began_ms: int = field(init=False)

    def __post_init__(self) -> None:
        self.began_ms = self.now_ms  # which moves on where somebody is asked

    def enter(self, step: Step) -> None:
        """Take note of the step that begins, and of when, if anybody wants to know."""
        self.step = step
        if self.timer is not None:
            self.marks.append((step, self.timer()))

    @property
    def found_route(self) -> Route:
        """The route, which every step after the first has."""
        assert self.route is not None  # noqa: S101 - the first step found it
        return self.route

    @property
    def headers_to_keep(self) -> tuple[str, ...]:
        """The headers of credentials that the policy leaves in place: where one of several is brought, of that one.

        Another may stand in the same header, under another scheme, and be meant for nobody else.
        """
        parts = self.found_route.parts
        if self.found_route.credential is CredentialKind.ANY_OF:
            parts = () if self.asks is None else (self.asks,)
        return tuple(asks.header for asks in parts if asks.keeps_credential and asks.header and asks.cookie is None)

    def saw(self, token: VerifiedToken) -> None:
        """Take note of who calls: the first that was verified, where there are several."""
        if self.token is None:
            self.token = token

    @property
    def policy_revision(self) -> str:
        """The revision that decides."""
        return self.policy.revision

    def deny(self, rejection: Rejection) -> Deny:
        """Refuse, saying what is known: the route, the token, what the client should do next."""
        reason = rejection.reason
        may_retry = REASONS[reason].code is Code.UNAVAILABLE or reason is Reason.STORE_EPOCH
        return Deny(
            decision_id=self.decision_id,
            reason=reason,
            policy_revision=self.policy_revision,
            route=self.route.name if self.route else None,
            credential=self.asks.credential if self.asks else None,
            token=self.token,
            token_state=self._state(rejection) if self.credential_presented else None,
            challenges=challenges_for(reason, self.route, self.asks),
            dpop_nonce=rejection.dpop_nonce,
            own_status=rejection.status,
            retry_after_seconds=_seconds(rejection.retry_after_ms) or (RETRY_AFTER_SECONDS if may_retry else None),
            first=rejection.first,
            detail=rejection.detail,
        )

    def _proving(self, route: Route) -> str:
        """Return the credential that names the caller: of several that must all hold, the first."""
        asks = self.asks if self.asks and route.credential is not CredentialKind.ALL_OF else route.asks
        return asks.credential

    def _state(self, rejection: Rejection) -> TokenState:
        """A mandate is good until it ends, whatever became of one use of it."""
        is_reusable = self.token is not None and self.token.may_come_again
        return TokenState.UNSPENT if is_reusable else rejection.token_state

    def deny_for_fault(self, reason: Reason) -> Deny:
        """Refuse because of a fault of ours at an unknown place: once the spend has begun, the token may be gone."""
        return self.deny(Rejection(reason, TokenState.UNKNOWN if self.step is Step.SPEND else TokenState.UNSPENT))

    def let_leave(self, route: Route, attached: Attached, headers_to_remove: tuple[str, ...]) -> Allow:
        """Let a request leave with a token or a signature."""
        return Allow(
            decision_id=self.decision_id,
            route=route.name,
            policy_revision=self.policy_revision,
            spent=None,
            headers_to_remove=headers_to_remove,
            attached=attached,
        )

    def allow(self, route: Route, spent: SpentToken | None, leaves: Leaves, would_be: Decision | None = None) -> Allow:
        """Let the request on."""
        return Allow(
            decision_id=self.decision_id,
            route=route.name,
            policy_revision=self.policy_revision,
            spent=spent,
            credential=None if spent is None else self._proving(route),
            headers_to_remove=leaves.headers_to_remove,
            headers_to_keep=leaves.headers_to_keep,
            headers_to_set=leaves.headers_to_set,
            response_headers=leaves.response_headers,
            would_be=would_be,
        )


def _seconds(milliseconds: int | None) -> int | None:
    """Whole seconds, rounded up: one that is told too little only comes back too early."""
    return None if milliseconds is None else max(1, -(-milliseconds // 1000))
