"""Is there an API key, does it hold, and may it come from here?  From a header, and from nowhere else.

A key in a query ends up in logs, one in a cookie goes wherever the browser goes: neither place is ever looked at.
Networks and brands of the key are judged with the route's own constraints, as those of a mandate are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate

from ott_extauthz.authn.api_keys import ApiKey, ApiKeys, key_behind, token_of
from ott_extauthz.authn.binding import binding_fault
from ott_extauthz.authn.extract import is_presented_in, presented_in
from ott_extauthz.check.attempt import Attempt
from ott_extauthz.check.credentials.credential import Verified
from ott_extauthz.model.facts import Facts
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.step import Step
from ott_extauthz.policy.routes import Asks


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyCredential:
    """An API key in a header.  ``keys`` are those in force; ``warn_before_ms`` its end, the client is told."""

    keys: Callable[[], ApiKeys]
    warn_before_ms: int

    def is_presented(self, asks: Asks, facts: Facts) -> bool:
        """Whether the header is there, under the scheme that is asked for."""
        return is_presented_in(facts.headers, header=asks.header, scheme=asks.scheme)

    def verified(self, asks: Asks, facts: Facts, attempt: Attempt) -> Verified | Rejection:
        """Return the key's client."""
        attempt.enter(Step.CREDENTIAL)
        presented = presented_in(facts.headers, header=asks.header, scheme=asks.scheme)
        if isinstance(presented, Rejection):
            return presented
        attempt.credential_presented = True
        attempt.enter(Step.VERIFY)
        key = key_behind(presented.text, self.keys(), attempt.now_ms)
        if isinstance(key, Rejection):
            return key
        token = token_of(key, attempt.found_route.audience)
        attempt.saw(token)
        attempt.enter(Step.BIND)
        fault = binding_fault(token, facts.peer, needs_certificate=False, needs_workload=False)
        if fault is not None:
            return Rejection(fault)
        told = _told(key, self.warn_before_ms, attempt.now_ms)
        return Verified(token=token, carriers=(presented.header,), response_headers=told)


def _told(key: ApiKey, warn_before_ms: int, now_ms: int) -> tuple[tuple[str, str], ...]:
    """Return what the client is told of the end: since when it is near (RFC 9745), and when it is (RFC 8594)."""
    near_ms = max(key.expires_at_ms - warn_before_ms, key.created_at_ms)
    if now_ms < near_ms:
        return ()
    sunset = formatdate(key.expires_at_ms // 1000, usegmt=True)
    return (("deprecation", f"@{near_ms // 1000}"), ("sunset", sunset))
