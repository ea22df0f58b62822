import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from ott_extauthz.policy.expressions.condition import MAX_CHARACTERS, Outcome, Truth, compiled
from ott_extauthz.policy.expressions.faults import ExpressionError
from ott_extauthz.policy.expressions.money import money_from
from ott_extauthz.policy.expressions.situation import Mandate, Peer, Situation, Source
from ott_extauthz.policy.expressions.variables import VARIABLES
from tests.fakes.situations import body, empty, request, situation, token

DESIGN = "request.json.amount <= token.max_amount && request.path_params.wallet == token.sub"


def truth(text: str, where: Situation | None = None) -> Truth:
    return compiled(text).evaluate(where or situation()).truth


def with_body(value: object) -> Situation:
    return situation(request=request(json=body(value)))


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (0, Truth.TRUE),
        (5000, Truth.TRUE),
        (5000.00, Truth.TRUE),
        ("5000", Truth.TRUE),
        ("5000.00", Truth.TRUE),
        ("4999.99", Truth.TRUE),
        (4999.99, Truth.TRUE),
        (5000.01, Truth.FALSE),
        ("5000.01", Truth.FALSE),
        (5001, Truth.FALSE),
        ("999999999999999999", Truth.FALSE),
        ("4999.999", Truth.ERROR),
        (-1, Truth.ERROR),
        ("-0", Truth.ERROR),
        ("1e3", Truth.ERROR),
        ("0x10", Truth.ERROR),
        (" 1", Truth.ERROR),
        ("\u0661", Truth.ERROR),
        ("", Truth.ERROR),
        (True, Truth.ERROR),
        (None, Truth.ERROR),
        ([1], Truth.ERROR),
        ({"value": 1}, Truth.ERROR),
    ],
)
def test_the_example_of_the_design_is_exact_in_the_currency_of_the_token(amount: Any, expected: Truth) -> None:
    assert truth(DESIGN, with_body({"amount": amount})) is expected


@pytest.mark.parametrize(
    ("value", "largest", "expected"),
    [("0.3", "0.3", Truth.TRUE), (0.3, "0.30", Truth.TRUE), (0.31, "0.3", Truth.FALSE)],
)
def test_money_has_no_binary_fractions(value: Any, largest: str, expected: Truth) -> None:
    where = situation(request=request(json=body({"amount": value})), token=token(max_amount=money_from(largest, "EUR")))
    assert truth("request.json.amount <= token.max_amount", where) is expected


def test_another_wallet_is_no_wallet_of_the_subject() -> None:
    assert truth(DESIGN, situation(token=token(sub="bob"))) is Truth.FALSE


@pytest.mark.parametrize(
    ("operator", "expected"),
    [("<", False), ("<=", True), (">", False), (">=", True), ("==", True), ("!=", False)],
)
def test_each_comparison_of_money_with_its_own_value(operator: str, expected: bool) -> None:  # noqa: FBT001
    wanted = Truth.TRUE if expected else Truth.FALSE
    assert truth(f"money('5000.00', 'EUR') {operator} token.max_amount") is wanted
    assert truth(f"token.max_amount {operator} request.json.amount", with_body({"amount": 5000})) is wanted
    assert truth(f"request.json.amount {operator} token.max_amount", with_body({"amount": "5000"})) is wanted


@pytest.mark.parametrize("operator", ["<", "<=", ">", ">=", "==", "!="])
def test_amounts_of_two_currencies_are_an_error_for_every_comparison(operator: str) -> None:
    outcome = compiled(f"money('1', 'USD') {operator} token.max_amount").evaluate(situation())
    assert outcome == Outcome(Truth.ERROR, "amounts of two currencies")


def test_a_text_that_looks_like_an_encoded_amount_is_none() -> None:
    assert truth("request.json.amount <= token.max_amount", with_body({"amount": "EUR 1"})) is Truth.ERROR
    assert truth("request.json.amount == token.max_amount", with_body({"amount": "EUR 5000"})) is Truth.ERROR


def test_a_choice_between_amounts_is_an_amount() -> None:
    text = "token.max_amount >= (token.sub == 'alice' ? money('1', 'EUR') : money('9999', 'EUR'))"
    assert truth(text) is Truth.TRUE
    assert truth(text, situation(token=token(sub="bob"))) is Truth.FALSE


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (100, Truth.TRUE),
        (100.0, Truth.TRUE),
        (100.00000000000001, Truth.FALSE),
        (9007199254740993, Truth.FALSE),
        ("100", Truth.ERROR),
        (True, Truth.ERROR),
        (None, Truth.ERROR),
    ],
)
def test_a_whole_and_a_fraction_compare_exactly_and_nothing_else_is_a_number(value: Any, expected: Truth) -> None:
    assert truth("request.json.n <= 100", with_body({"n": value})) is expected


def test_neighbours_beyond_the_doubles_whole_numbers_are_told_apart() -> None:
    where = with_body({"n": 9007199254740993})
    assert truth("request.json.n == 9007199254740993", where) is Truth.TRUE
    assert truth("request.json.n == 9007199254740992", where) is Truth.FALSE


# --- an error is a value, and not true --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "request.json.absent == 1",
        "request.json.text > 3",
        "request.json.none > 3",
        "request.headers['x-absent'] == 'A'",
        "request.headers['x-absent'] != 'A'",
        "request.json.items[7] == 1",
        "int(request.json.text) == 1",
        "1 / (size(request.json.items) - 3) == 1",
        "9223372036854775807 + size(request.json.items) > 0",
        "request.json.text.x.y == 1",
        "ip(request.json.text) in cidr('10.0.0.0/8')",
        "token.acr == ''",
        "token.acr != ''",
        "!(token.acr == 'x')",
        "'' in mandate.region",
    ],
)
def test_an_error_neither_permits_nor_fails_to_forbid(text: str) -> None:
    outcome = compiled(text).evaluate(situation())
    assert outcome.truth is Truth.ERROR
    assert outcome.error
    assert not outcome.permits()
    assert outcome.forbids()


def test_permits_and_forbids_for_each_truth() -> None:
    table = {found: (Outcome(found).permits(), Outcome(found).forbids()) for found in Truth}
    assert table == {Truth.TRUE: (True, True), Truth.FALSE: (False, False), Truth.ERROR: (False, True)}


def test_an_outcome_cannot_be_taken_for_a_boolean() -> None:
    with pytest.raises(TypeError):
        bool(compiled("false").evaluate(empty()))


def test_the_loop_budget_of_the_engine_is_an_error() -> None:
    outcome = compiled("request.json.all(x, x >= 0)").evaluate(with_body(list(range(20_000))))
    assert outcome == Outcome(Truth.ERROR, "Iteration budget exceeded")


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_every_absent_variable_is_an_error_and_never_a_default(name: str) -> None:
    if VARIABLES[name].is_optional or not name.startswith(("request.", "mesh.")):
        outcome = compiled(f"{name} == {name}").evaluate(empty())
        assert outcome == Outcome(Truth.ERROR, f"{name} is absent")
        assert truth(f"has({name})", empty()) is Truth.FALSE
    else:
        assert truth(f"has({name})", empty()) is Truth.TRUE


def test_has_guards_a_field_of_a_body() -> None:
    text = "has(request.json.limit) && request.json.limit > 3"
    assert truth(text) is Truth.FALSE
    assert truth(text, with_body({"limit": 4})) is Truth.TRUE


def test_an_empty_text_is_there_and_an_absent_one_is_not() -> None:
    where = situation(mandate=Mandate(identifier=""))
    assert truth("has(mandate.identifier) && mandate.identifier == ''", where) is Truth.TRUE
    assert truth("has(mandate.region)", where) is Truth.FALSE


# --- what the binding does to values ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("token.sub == 'alice'", {"token": token(sub="alice\0x")}),
        ("token.claims.name == 'alice'", {"token": token(claims={"name": "alice\0x"})}),
        ("request.path_params.wallet == 'alice'", {"request": request(path_params={"wallet": "alice\0x"})}),
        ("request.query['w'][0] == 'alice'", {"request": request(query={"w": ["alice\0x"]})}),
        ("peer.spiffe_id == 'alice'", {"peer": Peer(spiffe_id="alice\0x")}),
    ],
)
def test_a_text_is_not_cut_at_nul(text: str, changes: dict[str, Any]) -> None:
    """The binding copies up to the first NUL: `alice\\0x` would be `alice`."""
    outcome = compiled(text).evaluate(situation(**changes))
    assert outcome.truth is Truth.ERROR
    assert outcome.error.endswith("holds a NUL character")


def test_half_a_surrogate_pair_is_an_error_and_no_exception() -> None:
    outcome = compiled("token.sub == 'x'").evaluate(situation(token=token(sub="\ud800")))
    assert outcome == Outcome(Truth.ERROR, "token.sub holds half a surrogate pair")


@pytest.mark.parametrize("claim", [float("nan"), float("inf"), 2**63, -(2**63) - 1, b"bytes", {1: 2}, object()])
def test_a_claim_that_json_cannot_carry_is_an_error(claim: Any) -> None:
    assert truth("token.claims.tier == 1 || true", situation(token=token(claims={"tier": claim}))) is Truth.ERROR


def test_a_claim_nested_a_hundred_thousand_deep_does_not_end_the_process() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    outcome = compiled("size(token.claims) == 1").evaluate(situation(token=token(claims={"deep": deep})))
    assert outcome == Outcome(Truth.ERROR, "token.claims is nested too deeply")


def test_nulls_from_a_caller_do_not_wear_out_none() -> None:
    """The binding hands null to Python without a reference: enough of them would end the process."""
    where = with_body({"x": None, "list": [None, None]})
    texts = [
        "money(request.json.x, 'EUR') == token.max_amount",
        "request.json.x == token.max_amount",
        "request.json.x <= token.max_amount",
        "ip(request.json.x) in cidr(request.json.x)",
        "ip('10.0.0.1') in cidr(request.json.list)",
        "request.json.list.exists(x, x == token.max_amount)",
        "request.json.x == null",
        "token.claims.nothing == null",
    ]
    conditions = [compiled(text) for text in texts]
    before = sys.getrefcount(None)
    for _ in range(500):
        for condition in conditions:
            condition.evaluate(where)
    assert abs(sys.getrefcount(None) - before) < 100


def test_a_fault_of_the_reader_is_no_body() -> None:
    fault: Any = "not_json"
    assert truth("request.json == 'not_json'", situation(request=request(json=fault))) is Truth.ERROR


def test_an_instant_without_a_zone_is_an_error() -> None:
    naive = datetime(2026, 7, 1)  # noqa: DTZ001 - the attack
    assert (
        truth("request.time > timestamp('2020-01-01T00:00:00Z')", situation(request=request(time=naive))) is Truth.ERROR
    )


@pytest.mark.parametrize("bad", [5, None, b"alice", ["alice"]])
def test_a_value_of_the_wrong_type_is_an_error(bad: Any) -> None:
    assert truth("token.sub == 'alice'", situation(token=token(sub=bad))) is Truth.ERROR


def test_errors_name_members_of_the_policy_and_no_value_of_a_request() -> None:
    secret = "ott: s3cret"
    where = situation(token=token(sub=secret), request=request(json=body({"a": secret, "b": {secret: 1}})))
    for text in (
        "request.json.b[token.sub + 'x'] == 1",
        "int(request.json.a) == 1",
        "timestamp(request.json.a) == request.time",
        "money(request.json.a, 'EUR') == token.max_amount",
        "ip(request.json.a) in cidr('10.0.0.0/8')",
        "request.json.a > 3",
        "request.json.b.c == 1",
    ):
        outcome = compiled(text).evaluate(where)
        assert outcome.truth is Truth.ERROR
        assert "s3cret" not in outcome.error
    assert compiled("request.json.b.c == 1").evaluate(where).error == "no member 'c'"


# --- what is refused at load ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place", "part"),
    [
        ("1 +", (1, 4), "Syntax error"),
        ("", (1, 1), ""),
        ("request.pathh == 'x'", (1, 1), "did you mean 'request.path'?"),
        ("token.subject == 'x'", (1, 1), "unknown name 'token.subject'"),
        ("true &&\n  request.source.port == 1", (2, 3), "unknown name 'request.source.port'"),
        ("has(token.acrr)", (1, 5), "did you mean 'token.acr'?"),
        ("foo", (1, 1), "unknown name 'foo'"),
        ("token == 1", (1, 1), "unknown name 'token'"),
        ("token.sub < 3", (1, 11), "(string, int)"),
        ("token.max_amount <= 100", (1, 18), 'money(value, "EUR")'),
        ("token.max_amount <= 100.5", (1, 18), "(amount, double)"),
        ("token.max_amount <= '100'", (1, 18), 'money(value, "EUR")'),
        ("token.sub", (1, 6), "true or false"),
        ("request.json.ok", (1, 13), "== true"),
        ("ip('10.0.0.1') == '10.0.0.1'", (1, 16), "(ip, string)"),
        ("'10.0.0.1' in cidr('10.0.0.0/8')", (1, 12), "(string, cidr)"),
        ("true // \0", (1, 1), "NUL"),
        ("'\ud800' == ''", (1, 1), "surrogate"),
        ("'" + "x" * MAX_CHARACTERS + "' == ''", (1, 1), "longer than 4096"),
    ],
)
def test_a_mistake_is_found_at_load_with_its_place(text: str, place: tuple[int, int], part: str) -> None:
    with pytest.raises(ExpressionError) as error:
        compiled(text)
    assert part in error.value.message
    if part:
        assert (error.value.line, error.value.column) == place
    assert "bytes" not in error.value.message


def test_the_longest_text_is_read() -> None:
    text = "token.sub != '" + "x" * (MAX_CHARACTERS - 15) + "'"
    assert len(text) == MAX_CHARACTERS
    assert truth(text) is Truth.TRUE


@pytest.mark.parametrize(
    "text",
    [
        "(" * 2000 + "true" + ")" * 2000,
        "[" * 2000 + "]" * 2000,
        "size(" * 600 + "[]" + ")" * 600 + " == 1",
        "1" + "+1" * 2000 + " == 1",
        "request.json" + ".a" * 1900 + " == 1",
        "request.json" + "[0]" * 1300 + " == 1",
        "{1:" * 900 + "1" + "}" * 900 + " == 1",
        "true?true:" * 400 + "true",
        "[1].all(x," * 300 + "true" + ")" * 300,
        "[1].all(x," * 28 + "true" + ")" * 28,
        "[1].map(x," * 20 + "1" + ")" * 20 + " != []",
    ],
)
def test_deep_nesting_is_refused_and_does_not_end_the_process(text: str) -> None:
    with pytest.raises(ExpressionError):
        compiled(text)


def test_a_long_row_of_ands_is_fine() -> None:
    assert truth("true" + " && true" * 500) is Truth.TRUE


# --- what the caller asks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "needs_body", "needs_asn", "variables"),
    [
        (DESIGN, True, False, {"request.json", "request.path_params", "token.max_amount", "token.sub"}),
        ("has(request.json.amount)", True, False, {"request.json"}),
        ("has(request.json)", True, False, {"request.json"}),
        ("request.source.asn in mandate.asn", False, True, {"request.source.asn", "mandate.asn"}),
        ("has(request.source.asn)", False, True, {"request.source.asn"}),
        ("'request.json' == 'request.source.asn'", False, False, set()),
        ("local_time('UTC').hour > 8", False, False, {"request.time"}),
    ],
)
def test_what_a_condition_reads(text: str, needs_body: bool, needs_asn: bool, variables: set[str]) -> None:  # noqa: FBT001
    condition = compiled(text)
    assert (condition.needs_body, condition.needs_asn) == (needs_body, needs_asn)
    assert condition.variables == variables


def test_what_is_not_named_is_not_converted() -> None:
    """A broken header must not matter to a condition that does not ask for headers."""
    where = situation(request=request(headers={"x": "\0"}))
    assert truth("token.sub == 'alice'", where) is Truth.TRUE
    assert truth("'x' in request.headers", where) is Truth.ERROR


@pytest.mark.parametrize(
    "text",
    [
        "request.method == 'POST' && request.host == 'wallet.api' && request.path.startsWith('/v1/')",
        "'b' in request.query['tag'] && request.headers['x-brand'] in mandate.brand",
        "'wallet:debit' in token.scope && token.client_id == 'rgs' && token.aud == 'wallet.api'",
        "peer.spiffe_id == 'spiffe://bank.example/rgs' && mandate.brand.exists(name, name.endsWith('A'))",
        "request.source.asn in mandate.asn && ip(request.source.ip) in cidr(mandate.cidr)",
        "mesh.region == 'EU' && mesh.route == 'wallet-debit' && mesh.policy_revision == 'r1'",
        "token.claims.tier >= 3 && request.time > timestamp('2026-01-01T00:00:00Z')",
        "token.max_amount.currency == request.json.currency",
        "request.path.matches('^/v1/wallets/[a-z]+/debit$')",
    ],
)
def test_every_group_is_readable(text: str) -> None:
    assert compiled(text).evaluate(situation()) == Outcome(Truth.TRUE)


def test_the_age_of_a_login_is_exact() -> None:
    text = "request.time - token.auth_time <= duration('5m')"
    edge = datetime(2026, 7, 1, 22, 25, 15, tzinfo=UTC)
    assert truth(text, situation(token=token(auth_time=edge))) is Truth.TRUE
    assert truth(text, situation(token=token(auth_time=edge.replace(microsecond=0, second=14)))) is Truth.FALSE


def test_a_catastrophic_pattern_returns_at_once() -> None:
    where = situation(request=request(path="a" * 50_000 + "!"))
    assert truth("request.path.matches('^(a+)+$')", where) is Truth.FALSE


def test_many_threads_compile_and_evaluate_at_once() -> None:
    barrier = threading.Barrier(8)

    def work(number: int) -> set[Truth]:
        barrier.wait()
        condition = compiled(f"request.json.amount <= token.max_amount && {number} == {number}")
        return {condition.evaluate(situation()).truth for _ in range(200)}

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [{Truth.TRUE}] * 8


async def test_conditions_shared_by_tasks_do_not_mix_their_situations() -> None:
    condition = compiled("request.source.asn == 64500")

    async def ask(number: int) -> bool:
        await asyncio.sleep(0)
        return condition.evaluate(situation(request=request(source=Source(asn=number)))).permits()

    answers = await asyncio.gather(*(ask(64500 + number % 2) for number in range(100)))
    assert answers == [number % 2 == 0 for number in range(100)]
