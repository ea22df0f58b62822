import pytest

from ott_extauthz.model.trace_context import TraceContext, parsed, trace_context

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


def test_the_example_of_the_specification() -> None:
    assert parsed(f"00-{TRACE}-{PARENT}-01") == TraceContext(TRACE, PARENT, is_sampled=True)
    assert parsed(f"00-{TRACE}-{PARENT}-00") == TraceContext(TRACE, PARENT, is_sampled=False)


def test_a_later_version_may_say_more() -> None:
    assert parsed(f"01-{TRACE}-{PARENT}-01-more") == TraceContext(TRACE, PARENT, is_sampled=True)


@pytest.mark.parametrize(
    "value",
    [
        "",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-01\n",
        f"00-{TRACE[:-1]}\u0661-{PARENT}-01",
        f" 00-{TRACE}-{PARENT}-01",
    ],
    ids=[
        "empty",
        "version-ff",
        "no-trace",
        "no-parent",
        "upper",
        "long",
        "newline",
        "digit-of-another-script",
        "space",
    ],
)
def test_what_is_not_the_grammar_is_no_context_and_reaches_no_log(value: str) -> None:
    assert parsed(value) is None


def test_two_headers_are_none() -> None:
    value = f"00-{TRACE}-{PARENT}-01"
    assert trace_context({"traceparent": (value,)}) is not None
    assert trace_context({"traceparent": (value, value)}) is None
    assert trace_context({}) is None
