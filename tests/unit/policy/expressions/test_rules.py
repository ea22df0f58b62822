import pytest

from ott_extauthz.policy.expressions.condition import Truth, compiled
from ott_extauthz.policy.expressions.faults import ExpressionError
from tests.fakes.situations import situation


def refused(text: str) -> str:
    with pytest.raises(ExpressionError) as error:
        compiled(text)
    assert error.value.line == 1
    return error.value.message


def test_types_that_do_not_go_together_are_told_without_a_word_about_money_where_none_is() -> None:
    assert refused("token.sub == 1") == "found no matching overload for '_==_' applied to '(string, int)'"
    assert refused("token.max_amount == 'a'").endswith('an amount is compared with an amount: money(value, "EUR")')


@pytest.mark.parametrize(
    "text",
    [
        "token.max_amount in [money('1', 'EUR')]",
        "size(token.max_amount) > 1",
        "string(token.max_amount) == '5000'",
        "[token.max_amount].exists(x, x == request.json.x)",
        "{'a': token.max_amount}.a == request.json.x",
        "dyn(token.max_amount) == request.json.x",
        "(true ? token.max_amount : request.json.x) == request.json.y",
        "token.max_amount + token.max_amount == token.max_amount",
        "type(token.max_amount) == type(1)",
        "[1].map(x, token.max_amount) == []",
    ],
)
def test_an_amount_reaches_no_operation_that_takes_it_for_bytes(text: str) -> None:
    assert "an amount" in refused(text)


@pytest.mark.parametrize(
    "text",
    [
        "size(cidr('10.0.0.0/8')) == 1",
        "cidr('10.0.0.0/8') == cidr('10.0.0.0/8')",
        "ip('10.0.0.1') in [ip('10.0.0.1')]",
        "cidr('10.0.0.0/8').exists(x, x == ip('10.0.0.1'))",
        "ip('10.0.0.1') == request.json.x",
        "dyn(ip('10.0.0.1')) == request.json.x",
        "ip('10.0.0.1') in request.json.x",
        "request.json.x in cidr('10.0.0.0/8')",
        "ip('10.0.0.1') in (true ? cidr('10.0.0.0/8') : cidr('10.0.0.0/8'))",
    ],
)
def test_addresses_and_ranges_are_compared_only(text: str) -> None:
    assert "ip(x) in cidr(y)" in refused(text)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("b'a' == b'a'", "bytes"),
        ("bytes(token.sub) == bytes(token.sub)", "bytes"),
        ("google.protobuf.Int64Value{value: 1} == 1", "messages"),
        ("[1].exists(token, token == 1)", "'token' is taken"),
        ("[1].all(has, has == 1)", "'has' is taken"),
        ("double(request.json.x) > 1.0", "NaN"),
        ("double(token.sub) > 1.0", "NaN"),
        ("token.sub.matches(request.json.pattern)", "pattern"),
        ("matches(token.sub, token.iss)", "pattern"),
        ("token.sub.matches('(')", "cannot read"),
        ("timestamp('yesterday') < request.time", "cannot read"),
        ("duration('5 minutes') < duration('1s')", "cannot read"),
        ("request.time.getHours('Europe/Berlin') > 8", "local_time"),
        ("local_time('Mars/Olympus').hour > 8", "no such time zone"),
        ("local_time('../../etc/passwd').hour > 8", "no such time zone"),
        ("local_time('').hour > 8", "no such time zone"),
        ("local_time(token.sub).hour > 8", "must stand in the policy"),
        ("local_time('UTC').hours > 8", "hour, minute, weekday"),
        ("size(local_time('UTC')) == 3", "hour, minute, weekday"),
        ("has(local_time('UTC').hour)", "hour, minute, weekday"),
        ("ip('10.0.0.256') in cidr('10.0.0.0/8')", "not an IP address"),
        ("ip(request.source.ip) in cidr('10.0.0.1/8')", "range"),
        ("ip(request.source.ip) in cidr(['10.0.0.0/8', request.json.x])", "texts"),
        ("money('1.234', 'EUR') == token.max_amount", "at most 2"),
        ("money(request.json.x, 'EURO') == token.max_amount", "currency"),
    ],
)
def test_what_is_wrong_whatever_the_request_is_refused_at_load(text: str, part: str) -> None:
    assert part in refused(text)


@pytest.mark.parametrize(
    "text",
    [
        "request.json.all(x, request.json.all(y, x == y))",
        "request.json.a.exists(x, request.json.b.exists(y, request.json.c.exists(z, x == z)))",
        "request.json.map(x, x + x).size() == 3",
        "request.json.all(x, " + " && ".join(["x.contains('a')"] * 6) + ")",
    ],
)
def test_what_can_run_long_is_refused(text: str) -> None:
    assert "too long" in refused(text)


@pytest.mark.parametrize(
    "text",
    [
        "request.json.items.all(x, x > 0 && x < 4)",
        "[1, 2].all(x, request.json.items.exists(y, x == y))",
        "request.json.items.map(x, x * 2) == [2, 4, 6]",
        "request.json.items.filter(x, x > 1).size() == 2",
        "double(3) > 2.0",
        "ip('::ffff:10.0.0.1') == ip('10.0.0.1')",
        "ip('10.0.0.1') in cidr(['192.168.0.0/16', '10.0.0.0/8'])",
        "local_time('Europe/Berlin').weekday == 4 && local_time('UTC').weekday == 3",
        "local_time('Europe/Berlin').hour == 0 && local_time('Europe/Berlin').minute == 30",
    ],
)
def test_what_is_bounded_runs(text: str) -> None:
    assert compiled(text).evaluate(situation()).truth is Truth.TRUE
