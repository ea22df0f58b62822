import pytest

from ott_extauthz.policy.expressions.presence import with_presence


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("has(token.acr)", "has.token.acr "),
        ("has (\n token . acr )", "has .\n token . acr  "),
        ("!has(request.source.asn)&&true", "!has.request.source.asn &&true"),
        ("has(token.max_amount)", "has.token.max_amount "),
    ],
)
def test_has_over_a_variable_is_another_variable(text: str, expected: str) -> None:
    assert with_presence(text) == expected
    assert len(expected) == len(text)


@pytest.mark.parametrize(
    "text",
    [
        "has(request.json.x)",
        "has(token.unknown)",
        "has(token)",
        "hash(token.acr)",
        "xhas(token.acr)",
        "x.has(token.acr)",
        "'has(token.acr)'",
        '"has(token.acr)"',
        r"'\'has(token.acr)'",
        "r'\\' == has",
        "'''has(token.acr)'''",
        '"""a"has(token.acr)"""',
        "R'has(token.acr)'",
        'bR"has(token.acr)"',
        "// has(token.acr)",
    ],
)
def test_texts_comments_and_fields_stay(text: str) -> None:
    assert with_presence(text) == text


def test_after_a_raw_text_that_ends_in_a_backslash() -> None:
    assert with_presence(r"r'\' == 'a' || has(token.acr)") == r"r'\' == 'a' || has.token.acr "
