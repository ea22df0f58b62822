"""One credential in one header; which header is told, or the spent credential would go on to the upstream."""

import pytest

from ott_extauthz.authn.extract import PresentedCredential, presented_in
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection


@pytest.mark.parametrize(("scheme", "value"), [(None, "abc"), ("Bearer", "Bearer abc"), ("Bearer", "bEARER abc")])
def test_the_header_to_be_removed_is_the_one_that_it_came_in(scheme: str | None, value: str) -> None:
    headers = {"x-a": (value,), "x-b": (value,)}
    assert presented_in(headers, header="x-a", scheme=scheme) == PresentedCredential("abc", "x-a")


def test_a_credential_may_hold_spaces_and_is_taken_whole() -> None:
    assert presented_in({"x-a": ("Bearer a b",)}, header="x-a", scheme="Bearer") == PresentedCredential("a b", "x-a")


@pytest.mark.parametrize(
    ("values", "scheme", "reason"),
    [
        ((), None, Reason.CREDENTIAL_MISSING),
        (("",), None, Reason.CREDENTIAL_MISSING),
        (("Bearer",), "Bearer", Reason.CREDENTIAL_MISSING),
        (("Bearer ",), "Bearer", Reason.CREDENTIAL_MISSING),
        (("a", "a"), None, Reason.CREDENTIAL_DUPLICATED),
        (("", "a"), None, Reason.CREDENTIAL_DUPLICATED),
        (("a,b",), None, Reason.CREDENTIAL_DUPLICATED),
        (("Bearer a, Bearer b",), "Bearer", Reason.CREDENTIAL_DUPLICATED),
        (("Basic a",), "Bearer", Reason.CREDENTIAL_SCHEME_REFUSED),
        (("a",), "Bearer", Reason.CREDENTIAL_SCHEME_REFUSED),
        (("BearerX a",), "Bearer", Reason.CREDENTIAL_SCHEME_REFUSED),
    ],
)
def test_what_is_not_exactly_one_credential_is_refused(
    values: tuple[str, ...], scheme: str | None, reason: Reason
) -> None:
    assert presented_in({"x-a": values}, header="x-a", scheme=scheme) == Rejection(reason)
    assert presented_in({}, header="x-a", scheme=scheme) == Rejection(Reason.CREDENTIAL_MISSING)
