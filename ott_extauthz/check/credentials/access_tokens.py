"""Is there an access token, in a header or a cookie, and does it hold?  Anybody's: our own, and foreign issuers'.

- A token in a cookie is sent by browsers on their own, so a request that changes something must show that the site
  itself made it; and the cookie is taken out of what the upstream sees, the others stay.
- A token in a cookie and another one in ``Authorization`` are two credentials, and refused.
- What does not prove itself is for those who introspect, where there are any.
"""

from dataclasses import dataclass, field
from typing import Final

from ott_extauthz.authn.cookies import HEADER, cookie_in, has_cookie, without
from ott_extauthz.authn.extract import PresentedCredential, presented_in, schemes_in
from ott_extauthz.authn.same_site import is_of_browser_or_site, may_change_something, origin_in
from ott_extauthz.check.attempt import Attempt
from ott_extauthz.check.credentials.introspected import AskedTokens
from ott_extauthz.check.credentials.tokens import Believed, TokenCredential
from ott_extauthz.model.facts import Facts, Headers
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.host import canonical_host
from ott_extauthz.policy.routes import Asks, Route

_AUTHORIZATION: Final = "authorization"
_TOKEN_SCHEMES: Final = frozenset({"bearer", "dpop"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessTokenCredential(TokenCredential):
    """An access token; ``asked`` are those that somebody is asked about, the others prove themselves."""

    asked: AskedTokens = field(default_factory=AskedTokens)

    def is_presented(self, asks: Asks, facts: Facts) -> bool:
        """Whether the cookie is there, or the header under its scheme."""
        if asks.cookie is not None:
            return has_cookie(facts.headers, asks.cookie)
        return TokenCredential.is_presented(self, asks, facts)

    def presented(self, asks: Asks, facts: Facts, attempt: Attempt) -> PresentedCredential | Rejection:
        """Return the token as it came."""
        if asks.cookie is None:
            return presented_in(facts.headers, header=asks.header, scheme=asks.scheme)
        found, route = cookie_in(facts.headers, asks.cookie), attempt.found_route
        if isinstance(found, Rejection):
            return found
        if _has_another_token(route, facts.headers):
            return Rejection(Reason.CREDENTIAL_DUPLICATED, detail="authorization beside a cookie")
        if _may_be_of_another_site(facts, attempt):
            attempt.credential_presented = True
            return Rejection(Reason.CROSS_SITE_REQUEST)
        return PresentedCredential(found.text, HEADER, cookies_left(route, facts.headers))

    def believed(self, sealed: str, asks: Asks, facts: Facts, attempt: Attempt) -> Believed:
        """Return the token."""
        found = self.asked.believed(sealed, asks, facts.peer, attempt)
        return TokenCredential.believed(self, sealed, asks, facts, attempt) if found is None else found

    def opened(self, text: str, asks: Asks, facts: Facts, attempt: Attempt) -> Believed:
        """Return the token; anybody can seal one for us, so that an envelope keeps nobody from being asked."""
        found = self.asked.jwt_believed(text, asks, facts.peer, attempt)
        return TokenCredential.opened(self, text, asks, facts, attempt) if found is None else found


def cookie_carriers(route: Route) -> tuple[str, ...]:
    """Return the header that carries this route's tokens in cookies, if any do."""
    return (HEADER,) if any(asks.cookie is not None for asks in route.parts) else ()


def cookies_left(route: Route, headers: Headers) -> tuple[tuple[str, str], ...]:
    """Return the ``Cookie`` header without any token of this route's; nothing where it would be empty."""
    taken = {asks.cookie for asks in route.parts if asks.cookie is not None and not asks.keeps_credential}
    left = without(headers, taken) if cookie_carriers(route) else ""
    return ((HEADER, left),) if left else ()


def _has_another_token(route: Route, headers: Headers) -> bool:
    # What the route asks for there, too, is judged on its own.
    asked = {(asks.scheme or "").lower() for asks in route.parts if asks.header == _AUTHORIZATION and not asks.cookie}
    return any(schemes_in(value) & (_TOKEN_SCHEMES - asked) for value in headers.get(_AUTHORIZATION, ()))


def _may_be_of_another_site(facts: Facts, attempt: Attempt) -> bool:
    if not may_change_something(facts.method, facts.headers):
        return False
    told = is_of_browser_or_site(facts.headers)
    if told is not None:
        return not told
    origin, target = origin_in(facts.headers), attempt.target
    if origin is None or target is None:
        return True
    scheme, host = origin
    return scheme != facts.scheme or canonical_host(host, scheme) != target.host
