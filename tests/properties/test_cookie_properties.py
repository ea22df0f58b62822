"""Cookies: nothing raises, what is taken out is gone for every way of reading, and the others stay as they were."""

import re

from hypothesis import given
from hypothesis import strategies as st

from ott_extauthz.authn.cookies import PresentedCookie, cookie_in, has_cookie, without
from ott_extauthz.model.rejection import Rejection

NAME = "sid"
PIECES = st.sampled_from([NAME, f"{NAME}=", f"{NAME}=tok", "a=1", "=", ";", ",", " ", "\t", '"', "b", f"x{NAME}=1"])
LINES = st.lists(st.lists(PIECES, max_size=8).map("".join), max_size=3)


@given(LINES)
def test_any_cookie_header_is_read_one_way_or_refused(values: list[str]) -> None:
    headers = {"cookie": tuple(values)} if values else {}
    found, left = cookie_in(headers, NAME), without(headers, {NAME})
    assert isinstance(found, PresentedCookie | Rejection)
    assert not has_cookie({"cookie": (left,)}, NAME)
    if isinstance(found, PresentedCookie):
        naive = [re.fullmatch(rf"[ \t]*{NAME}[ \t]*=(.*)", part) for part in re.split("[;,]", ";".join(values))]
        assert [match[1].strip(" \t") for match in naive if match] == [found.text]


@given(st.lists(st.from_regex(r"[a-z]{1,3}=[a-z0-9]{0,4}", fullmatch=True), max_size=5))
def test_cookies_of_other_names_stay_in_their_order(others: list[str]) -> None:
    others = [other for other in others if not other.startswith(f"{NAME}=")]
    headers = {"cookie": ("; ".join([*others, f"{NAME}=tok"]),)}
    assert without(headers, {NAME}) == "; ".join(others)
