"""Expressions are read as Envoy reads them, and none keeps the linter busy."""

import pytest

from ott_extauthz.envoy_lint.re2 import full_match


@pytest.mark.parametrize(
    ("expression", "text", "matches"),
    [
        ("x-ott(-.*)?", "x-ott-subject", True),
        ("x-ott", "x-ott-subject", False),
        ("ott", "x-ott", False),
        ("(?i)X-OTT", "x-ott", True),
        (r"\pL+", "abc", True),
        ("a|b", "ab", False),
        ("", "", True),
        ("(a", "a", None),
        ("a)|(?:.*", "anything", None),
        (r"(a)\1", "aa", None),
        ("(?=a)a", "a", None),
        ("(a+)+b", "a" * 200, False),
    ],
)
def test_the_whole_text_matches_or_not_or_the_expression_is_none(
    expression: str, text: str, *, matches: bool | None
) -> None:
    assert full_match(expression, text) is matches
