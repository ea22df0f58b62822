"""Requests that another site makes a browser send: told apart by headers that no page can set."""

import pytest

from ott_extauthz.authn.same_site import is_of_browser_or_site, may_change_something, origin_in


@pytest.mark.parametrize(("method", "may"), [("GET", False), ("HEAD", False), ("OPTIONS", False), ("POST", True),
                                             ("PUT", True), ("DELETE", True), ("TRACE", True), ("CONNECT", True),
                                             ("get", True), ("PROPFIND", True)])  # fmt: skip
def test_only_what_is_known_to_be_safe_is_safe(method: str, *, may: bool) -> None:
    assert may_change_something(method, {}) is may


def test_a_request_that_upgrades_is_not_safe() -> None:
    """Cross-site WebSocket hijacking: the page that opened it reads and writes."""
    assert may_change_something("GET", {"upgrade": ("websocket",)})


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ((), None),
        (("same-origin",), True),
        (("none",), True),
        (("same-site",), False),
        (("cross-site",), False),
        (("",), False),
        (("Same-Origin",), False),
        (("same-origin,cross-site",), False),
        (("same-origin", "same-origin"), False),
        (("same-origin", "cross-site"), False),
    ],
)
def test_what_the_browser_says_of_the_site(values: tuple[str, ...], *, found: bool | None) -> None:
    headers = {"sec-fetch-site": values} if values else {}
    assert is_of_browser_or_site(headers) is found


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ((), None),
        (("https://wallet.api",), ("https", "wallet.api")),
        (("https://wallet.api:8443",), ("https", "wallet.api:8443")),
        (("null",), None),
        (("",), None),
        (("wallet.api",), None),
        (("https://wallet.api", "https://evil.example"), None),
    ],
)
def test_an_origin_is_one_or_none(values: tuple[str, ...], found: tuple[str, str] | None) -> None:
    assert origin_in({"origin": values} if values else {}) == found
