"""What a condition costs: microseconds an evaluation, and seconds to compile a thousand."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from time import perf_counter, process_time

from ott_extauthz.model.body import Body
from ott_extauthz.model.json_body import json_body
from ott_extauthz.model.reason import Reason
from ott_extauthz.policy.expressions.condition import compiled
from ott_extauthz.policy.expressions.money import money_from
from ott_extauthz.policy.expressions.situation import JsonBody, Mesh, Request, Situation, Source, Token

ROUNDS = 7
EVALUATIONS = 4000
COMPILED = 1000
DESIGN = "request.json.amount <= token.max_amount && request.path_params.wallet == token.sub"
CASES = {
    "one comparison of texts": "request.method == 'POST'",
    "three comparisons of texts": "request.method == 'POST' && token.client_id == 'rgs' && token.aud == 'wallet.api'",
    "a header of twenty": "request.headers['x-7'] == 'value'",
    "the design's example": DESIGN,
    "money() on both sides": "money(request.json.amount, request.json.currency) <= money('5000', 'EUR')",
    "ip() in cidr()": "ip(request.source.ip) in cidr('10.0.0.0/8')",
    "local_time()": "local_time('Europe/Berlin').hour < 25",
    "has() and a text": "!has(token.acr) || token.acr == 'silver'",
}
BODY = Body(
    json.dumps({"amount": "12.50", "currency": "EUR", "to": {"iban": "DE02"}, "lines": [1, 2, 3]}).encode(),
    is_complete=True,
)


def _situation() -> Situation:
    body = json_body(BODY)
    if isinstance(body, Reason):
        raise SystemExit("void: the body is not read")
    request = Request(
        method="POST",
        host="wallet.api",
        path="/v1/wallets/alice/debit",
        time=datetime(2026, 7, 1, 12, tzinfo=UTC),
        path_params={"wallet": "alice"},
        headers={f"x-{number}": "value" for number in range(20)},
        source=Source(ip="10.1.2.3"),
        json=JsonBody(body),
    )
    token = Token(sub="alice", client_id="rgs", iss="i", aud="wallet.api", id="x", max_amount=money_from("5000", "EUR"))
    return Situation(request=request, mesh=Mesh(policy_revision="1", route="r"), token=token)


def _best_us(work: Callable[[], object]) -> float:
    """Least CPU of the rounds: the others are the neighbours' noise."""
    results = []
    for _ in range(ROUNDS):
        began = process_time()
        for _ in range(EVALUATIONS):
            work()
        results.append((process_time() - began) / EVALUATIONS * 1e6)
    return min(results)


def policy_expressions() -> None:
    """Print what conditions cost; a case that does not permit is void."""
    where = _situation()
    print(f"conditions, CPU an evaluation, best of {ROUNDS} rounds of {EVALUATIONS}:")
    for name, text in CASES.items():
        condition = compiled(text)
        if not condition.evaluate(where).permits():
            raise SystemExit(f"{name}: void, {condition.evaluate(where)}")
        print(f"  {name:28} {_best_us(partial(condition.evaluate, where)):6.1f} us")
    print(f"  {'reading the body':28} {_best_us(lambda: json_body(BODY)):6.1f} us")
    began, busy = perf_counter(), process_time()
    for number in range(COMPILED):
        compiled(f"{DESIGN} && request.host != 'host-{number}'")
    print(f"  {COMPILED} conditions compiled in {process_time() - busy:.2f} s of CPU, {perf_counter() - began:.2f} s")


if __name__ == "__main__":
    policy_expressions()
