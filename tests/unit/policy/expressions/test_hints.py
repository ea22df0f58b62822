import pytest

from ott_extauthz.policy.expressions.condition import Truth, compiled
from tests.fakes.situations import situation


def messages(text: str, *, denies: bool = False) -> list[str]:
    return [hint.message for hint in compiled(text, denies=denies).warnings]


def test_an_or_hides_a_missing_field_and_is_warned_about() -> None:
    text = "request.json.absent == 1 || token.sub == 'alice'"
    assert compiled(text).evaluate(situation()).truth is Truth.TRUE
    (hint,) = compiled(text).warnings
    assert "request.json.absent" in hint.message
    assert (hint.line, hint.column) == (1, 26)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("token.acr == 'x' || token.sub == 'y'", "token.acr"),
        ("request.headers['x-a'] == '1' || true", "request.headers.x-a"),
        ("request.path_params.wallet == '1' || true", "request.path_params.wallet"),
        ("true && ('EU' in mandate.region || 'A' in mandate.brand)", "mandate.region, mandate.brand"),
        ("!(request.json.a == 1 && request.json.b == 2)", "request.json.a, request.json.b"),
        ("request.json.a == 1 || request.json.b == 1 || true", "request.json.a, request.json.b"),
        ("request.json.items[0] == 1 || true", "request.json.items.[…]"),
    ],
)
def test_what_an_or_may_hide_is_named_once(text: str, names: str) -> None:
    (message,) = messages(text)
    assert f"even if {names} cannot be read" in message


@pytest.mark.parametrize(
    "text",
    [
        "has(token.acr) && token.acr == 'x' || token.sub == 'y'",
        "!has(request.json.a) || request.json.a == 1",
        "'x-a' in request.headers && request.headers['x-a'] == '1' || false",
        "token.sub == 'a' || token.sub == 'b'",
        "request.json.a == 1 && request.json.b == 2",
        "!(request.json.a == 1 || request.json.b == 2)",
        "request.json.items.exists(x, x == 1)",
    ],
)
def test_what_hides_nothing_is_not_warned_about(text: str) -> None:
    assert messages(text) == []


def test_what_is_read_inside_a_value_of_the_policy_is_named_by_its_own_path() -> None:
    (message,) = messages("{'a': request.json.b}.a == 1 || token.sub == 'x'")
    assert "even if request.json.b cannot be read" in message


def test_for_deny_when_and_and_or_change_places() -> None:
    assert messages("request.json.a == 1 || request.json.b == 2", denies=True) == []
    (message,) = messages("request.json.a == 1 && request.json.b == 2", denies=True)
    assert "&& is false as soon as one side is" in message
    (message,) = messages("!(request.json.a == 1 || request.json.b == 2)", denies=True)
    assert "|| is true" in message


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("request.json.amount <= token.max_amount", "money(value, currency)"),
        ("request.json.rate * 1.5 > 2.0", "NaN"),
        ("request.json.a - request.json.b > 0", "NaN"),
        ("!(0.0 / 0.0 > 1.0)", "NaN"),
        ("request.json.role != 'admin'", "any other type"),
    ],
)
def test_other_surprises(text: str, part: str) -> None:
    (message,) = messages(text)
    assert part in message


def test_whole_numbers_of_the_policy_are_exact() -> None:
    assert messages("request.source.asn + 1 == 2") == []
