"""Which templates share a path: what tells a public route that opens a protected one."""

import pytest

from ott_extauthz.policy.document.agreement.crossings import is_narrower, may_meet
from ott_extauthz.policy.template import template_from


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("/a", "/a", True),
        ("/a", "/b", False),
        ("/a", "/{x}", True),
        ("/a/{x}", "/{y}/b", True),
        ("/a", "/a/b", False),
        ("/a", "/a/", False),
        ("/a", "/a/{x**}", False),
        ("/a/b", "/a/{x**}", True),
        ("/a/b/c", "/a/{x**}", True),
        ("/b/c", "/a/{x**}", False),
        ("/a/{x**}", "/{y}/b/{z**}", True),
        ("/a/{x**}", "/b/{z**}", False),
    ],
)
def test_two_templates_meet_where_some_path_is_of_both(one: str, other: str, *, expected: bool) -> None:
    assert may_meet(template_from(one), template_from(other)) is expected
    assert may_meet(template_from(other), template_from(one)) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("/a", "/{x}", True),
        ("/{x}", "/a", False),
        ("/a", "/a/{x**}", False),
        ("/a/b", "/a/{x**}", True),
        ("/a/{y}/{x**}", "/a/{x**}", True),
        ("/a/{x**}", "/a/{y**}", True),
        ("/a/{x**}", "/a/{y}", False),
        ("/{x**}", "/a/{y**}", False),
        ("/a/b", "/{x}", False),
    ],
)
def test_one_is_narrower_when_every_path_of_it_is_of_the_other(one: str, other: str, *, expected: bool) -> None:
    assert is_narrower(template_from(one), template_from(other)) is expected
