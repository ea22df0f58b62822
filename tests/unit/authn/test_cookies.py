"""One cookie of a name, or none: doubled, joined, quoted and disguised ones are refused, and nothing is left behind."""

import pytest

from ott_extauthz.authn.cookies import PresentedCookie, cookie_in, has_cookie, without
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection

NAME = "__Host-session"


def lines(*values: str) -> dict[str, tuple[str, ...]]:
    return {"cookie": values} if values else {}


@pytest.mark.parametrize(
    ("values", "left"),
    [
        ([f"{NAME}=tok"], ""),
        ([f"a=1; {NAME}=tok; b=2"], "a=1; b=2"),
        ([f"a=1;{NAME}=tok;b=2"], "a=1; b=2"),
        ([f"a=1 ;\t{NAME} = tok ; b=2"], "a=1; b=2"),
        (["a=1", f"{NAME}=tok", "b=2"], "a=1; b=2"),
        ([f"{NAME}=tok; ; ;"], ""),
        ([f"a=x,y; {NAME}=tok"], "a=x,y"),
        ([f"{NAME}=tok; a=b=c; bare"], "a=b=c; bare"),
        ([f"__host-session=other; {NAME}=tok; {NAME}x=1; x{NAME}=2"], f"__host-session=other; {NAME}x=1; x{NAME}=2"),
        ([f"{NAME}; {NAME}=tok"], ""),
    ],
)
def test_the_one_cookie_is_found_and_the_others_stay(values: list[str], left: str) -> None:
    headers = lines(*values)
    assert cookie_in(headers, NAME) == PresentedCookie("tok")
    assert without(headers, {NAME}) == left
    assert has_cookie(headers, NAME)


@pytest.mark.parametrize(
    "values",
    [
        [f"{NAME}=tok; {NAME}=tok"],
        [f"{NAME}=a; x=1; {NAME}=b"],
        [f"{NAME}=a", f"{NAME}=b"],
        [f"{NAME}=; {NAME}=tok"],
        [f"{NAME}=tok,x=1"],
        [f"x=1,{NAME}=tok"],
        [f"x=1, {NAME}=tok; y=2"],
        [f"x=1,{NAME}=evil; {NAME}=tok"],
        [f"{NAME}=tok,{NAME}=tok"],
        [f"{NAME}=tok,"],
    ],
)
def test_what_servers_read_differently_is_refused(values: list[str]) -> None:
    """A comma is how Envoy's merged mode joins two lines, and how some servers part cookies."""
    found = cookie_in(lines(*values), NAME)
    assert isinstance(found, Rejection)
    assert found.reason is Reason.CREDENTIAL_DUPLICATED
    assert has_cookie(lines(*values), NAME)
    assert "tok" not in without(lines(*values), {NAME})
    assert "evil" not in without(lines(*values), {NAME})


@pytest.mark.parametrize(
    "values", [[], [""], ["a=1"], [NAME], [f"{NAME}="], [f"{NAME.lower()}=tok"], [f'"{NAME}"=tok']]
)
def test_no_cookie_is_no_credential(values: list[str]) -> None:
    assert cookie_in(lines(*values), NAME) == Rejection(Reason.CREDENTIAL_MISSING)


@pytest.mark.parametrize("value", ['"tok"', "to k", "to\x7fk", "to\xe9k", "to\\k", '"', "a\x00"])
def test_a_value_is_written_plainly(value: str) -> None:
    assert cookie_in(lines(f"{NAME}={value}"), NAME) == Rejection(Reason.TOKEN_MALFORMED)


def test_several_names_are_taken_out_at_once_and_a_token_is_never_shown() -> None:
    headers = lines("a=1; s=tok; t=kot")
    assert without(headers, {"s", "t"}) == "a=1"
    assert without(headers, ()) == "a=1; s=tok; t=kot"
    assert "tok" not in repr(cookie_in(headers, "s"))
