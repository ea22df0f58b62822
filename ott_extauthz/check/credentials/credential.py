"""What is a credential to the Check?  Something that a request brings or not, and that proves a caller or does not."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from ott_extauthz.check.attempt import Attempt
from ott_extauthz.model.facts import Facts
from ott_extauthz.model.once import Once
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import VerifiedToken
from ott_extauthz.policy.routes import Asks

_NOT_ASKED: Final = Rejection(Reason.INTROSPECTION_UNAVAILABLE, detail="not asked for a second opinion")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A credential that holds, and is bound to this caller; nothing was spent yet.

    ``token`` is the caller as it was proven.  ``carriers`` are the headers that brought the credential, which no
    upstream sees; ``headers_to_set`` replace those that carry other things too.  ``once`` may not come again.
    """

    token: VerifiedToken
    carriers: tuple[str, ...] = ()
    headers_to_set: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    response_headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    once: tuple[Once, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUp:
    """A question that somebody else must answer before the credential can be judged.

    ``ask`` is called with the seconds that are left; its answer is put into ``Attempt.answers`` under ``key``, and the
    steps are gone through again.  It never raises but for cancellation: a failure is an answer, too.  ``unasked`` is
    the refusal where nobody is asked.
    """

    key: bytes = field(repr=False)
    ask: Callable[[float], Awaitable[object]]
    unasked: Rejection = _NOT_ASKED


class Credential(Protocol):
    """One kind of credential."""

    def is_presented(self, asks: Asks, facts: Facts) -> bool:
        """Whether the request brings one where ``asks`` looks for it, good or bad."""
        ...

    def verified(self, asks: Asks, facts: Facts, attempt: Attempt) -> Verified | Rejection | LookUp:
        """Return the caller that it proves, or the first reason why it proves none.

        ``attempt`` is told how far this came (``step``, ``credential_presented``, ``token``), and knows the instant,
        the route and what was looked up; nothing is changed anywhere else.
        """
        ...
