"""Does this request come from the site itself, or did another one make a browser send it (CSRF)?

A browser puts cookies on requests by itself, so a token in a cookie proves nothing of who wanted the request.

- GET, HEAD and OPTIONS may come from anywhere: they change nothing (RFC 9110 §9.2.1), and others cannot read the
  answer.  One that upgrades (WebSocket) is no such request: whoever opened it may write and read.
- Otherwise ``Sec-Fetch-Site`` decides where it is: ``same-origin``, or ``none`` for what the user did in the browser
  itself.  ``same-site`` is refused, for a neighbouring subdomain need not be ours.
- Without it ``Origin`` decides: the very scheme, host and port of the request.
- With neither, nobody can tell, and the answer is no.  No page can set or leave out these headers.
"""

from typing import Final

from ott_extauthz.model.facts import Headers

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OURS: Final = frozenset({"same-origin", "none"})


def may_change_something(method: str, headers: Headers) -> bool:
    """Whether a request must show where it comes from."""
    return method not in _SAFE or "upgrade" in headers


def is_of_browser_or_site(headers: Headers) -> bool | None:
    """Whether ``Sec-Fetch-Site`` says that no other site made the request; None where it says nothing."""
    values = headers.get("sec-fetch-site", ())
    return None if not values else len(values) == 1 and values[0] in _OURS


def origin_in(headers: Headers) -> tuple[str, str] | None:
    """Return scheme and host (with its port) of the one ``Origin``; None where there is none, or an opaque one."""
    values = headers.get("origin", ())
    scheme, separator, host = values[0].partition("://") if len(values) == 1 else ("", "", "")
    return (scheme, host) if separator else None
