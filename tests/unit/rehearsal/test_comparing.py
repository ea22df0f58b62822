"""Which recorded decisions does a new policy change?  Certain, possible, and none; never one left out."""

from typing import Any

import pytest

from ott_extauthz.policy.document import Policy, policy_from
from ott_extauthz.rehearsal.comparing import compared

ROUTE = """
  - name: debit
    match: {{hosts: [wallet.api], methods: [{method}], path: "{path}"}}
    credential: one_time_token
    audience: {audience}
    {more}
"""


def policy(*, method: str = "POST", path: str = "/debit", audience: str = "wallet.api", more: str = "") -> Policy:
    route = ROUTE.format(method=method, path=path, audience=audience, more=more)
    return policy_from(f"revision: r\nroutes:\n{route}", "policy.yaml")


PUBLIC = "revision: r\nroutes:\n  - {name: debit, match: {methods: [POST], path: /debit}, credential: public}\n"


def line(**changes: Any) -> dict[str, Any]:
    return {
        "decision_id": "d1", "outcome": "allow", "method": "POST", "host": "wallet.api", "path": "/debit",
        "audience": "wallet.api", "client_id": "rgs", "scope": ["a", "b"],
    } | changes  # fmt: skip


@pytest.mark.parametrize(
    ("new", "now", "certain"),
    [
        (policy(method="PUT"), "route_unknown", True),
        (policy(audience="bank.api"), "token_audience_mismatch", True),
        (policy(more="clients: [jackpot]"), "client_denied", True),
        (policy(more="scopes: [c]"), "scope_missing", True),
        (policy(more="max_auth_age: 5m"), "unknown", False),
        (policy(more="bound_to: [workload]"), "unknown", False),
    ],
)
def test_an_allowed_call_that_a_new_policy_refuses_or_may(new: Policy, now: str, *, certain: bool) -> None:
    found = compared(policy(), new, [line()])
    assert [(change.now, change.certain) for change in found.changes] == [(now, certain)]


@pytest.mark.parametrize("new", [policy(), policy(more="clients: [rgs]"), policy(more="scopes: [a]")])
def test_what_the_audit_shows_to_be_met_is_no_change(new: Policy) -> None:
    assert compared(policy(), new, [line()]).changes == ()


def test_a_route_that_becomes_public_lets_in_what_was_refused() -> None:
    found = compared(policy(), policy_from(PUBLIC, "p"), [line(outcome="deny", reason="scope_missing")])
    (change,) = found.changes
    assert (change.was, change.now, change.certain) == ("scope_missing", "allowed", True)


def test_a_new_route_for_what_had_none() -> None:
    found = compared(policy(path="/other"), policy(), [line(outcome="deny", reason="route_unknown")])
    assert [change.certain for change in found.changes] == [False]


def test_a_refusal_before_the_routes_stays() -> None:
    refused = line(outcome="deny", reason="path_malformed", path=None)
    assert compared(policy(), policy(method="PUT"), [refused]).same == 1


def test_lines_that_cannot_be_read_are_counted() -> None:
    assert compared(policy(), policy(), [None, {"outcome": "allow"}, line()]).unreadable == 2


def test_a_policy_with_conditions_differs_in_nothing_from_itself() -> None:
    one, other = (policy(more=f"when: {text}") for text in ("token.sub == 'a'", "token.sub == 'b'"))
    again = policy(more="when: token.sub == 'a'")
    assert compared(one, again, [line()]).changes == ()
    assert [change.because for change in compared(one, other, [line()]).changes] == ["debit differs in when"]


def with_clients(clients: str, roles: str = "") -> Policy:
    text = ROUTE.format(method="POST", path="/debit", audience="wallet.api", more="scopes: [a]")
    return policy_from(f"revision: r\n{roles}clients:\n{clients}routes:\n{text}", "policy.yaml")


RGS = "  - {client_id: rgs}\n  - {client_id: other}\n"
KNOWN = "  - {client_id: rgs, spiffe_id: 'spiffe://bank.example/rgs'}\n"


@pytest.mark.parametrize(
    ("new", "now"),
    [
        (with_clients("  - {client_id: other}\n"), "client_denied"),
        (
            with_clients("  - {client_id: rgs, may_call: {hosts: [bank.api]}}\n  - {client_id: other}\n"),
            "may_call_denied",
        ),
        (
            with_clients("  - {client_id: rgs, roles: []}\n  - {client_id: o, roles: [a]}\n", "roles: {a: [a]}\n"),
            "role_missing",
        ),
        (with_clients(KNOWN), "client_denied"),
    ],
)
def test_what_the_policys_own_clients_refuse_is_certain(new: Policy, now: str) -> None:
    found = compared(with_clients(RGS), new, [line(peer_principal="spiffe://bank.example/web")])
    assert [(change.now, change.certain) for change in found.changes] == [(now, True)]


def test_a_caller_that_the_clients_still_know_stays() -> None:
    caller = line(peer_principal="spiffe://bank.example/rgs", peer_certificate="A" * 43)
    assert compared(with_clients(RGS), with_clients(KNOWN), [caller]).changes == ()
    certificate = f"  - {{sha256: {'00' * 32}}}\n"
    assert compared(with_clients(RGS), with_clients(certificate), [caller]).changes == ()


def test_a_caller_that_the_clients_refused_and_no_longer_do_may_come() -> None:
    refused = line(outcome="deny", reason="client_denied", client_id="new")
    (change,) = compared(with_clients(RGS), with_clients(RGS + "  - {client_id: new}\n"), [refused]).changes
    assert (change.was, change.certain) == ("client_denied", False)


def test_a_refusal_before_the_token_was_verified_asks_no_client() -> None:
    refused = line(outcome="deny", reason="credential_missing", client_id=None)
    assert compared(with_clients(RGS), with_clients(KNOWN), [refused]).same == 1


CONDITION = "when: 'request.path == \"/debit\"'"
CLIENTS = "\nclients:\n  - {client_id: rgs, spiffe_id: 'spiffe://b/rgs'}\n"


def with_section(text: str) -> Policy:
    route = ROUTE.format(method="POST", path="/debit", audience="wallet.api", more="")
    return policy_from(f"revision: r{text}\nroutes:\n{route}", "policy.yaml")


def test_a_condition_that_stays_is_no_change_and_another_one_may_be() -> None:
    other = "when: 'request.path == \"/other\"'"
    assert compared(policy(more=CONDITION), policy(more=CONDITION), [line()]).changes == ()
    (change,) = compared(policy(more=CONDITION), policy(more=other), [line()]).changes
    assert (change.certain, change.because) == (False, "debit differs in when")


@pytest.mark.parametrize(
    ("principal", "changes"), [("spiffe://b/rgs", []), ("spiffe://b/other", [("client_denied", True)])]
)
def test_a_list_of_clients_that_shuts_a_caller_out_is_a_change(principal: str, changes: list[tuple[str, bool]]) -> None:
    found = compared(policy(), with_section(CLIENTS), [line(peer_principal=principal)])
    assert [(change.now, change.certain) for change in found.changes] == changes


def test_a_list_of_clients_that_lets_a_refused_caller_in_may_be_a_change() -> None:
    refused = line(outcome="deny", reason="client_denied", peer_principal="spiffe://b/other")
    (change,) = compared(with_section(CLIENTS), policy(), [refused]).changes
    assert (change.now, change.certain, change.because) == ("unknown", False, "debit differs in the policy's clients")


def test_a_route_that_headers_chose_is_compared_by_its_name_and_never_for_certain() -> None:
    two = """
revision: r
routes:
  - name: debit
    match: {hosts: [wallet.api], methods: [POST], path: /debit}
    credential: one_time_token
    audience: wallet.api
  - name: vip
    match: {hosts: [wallet.api], methods: [POST], path: /debit, headers: {x-vip: "1"}}
    credential: one_time_token
    audience: wallet.api
    clients: [%s]
"""
    old, new = (policy_from(two % client, "p") for client in ("rgs", "jackpot"))
    assert compared(old, new, [line(route="debit")]).changes == ()
    (change,) = compared(old, new, [line(route="vip")]).changes
    assert (change.now, change.certain) == ("client_denied", False)


def test_a_call_that_a_route_in_shadow_let_on_shows_no_token_and_so_nothing_is_certain() -> None:
    let_on = line(audience=None, client_id=None, scope=None, shadow_outcome="allow")
    assert compared(policy(), policy(), [let_on]).changes == ()
    (change,) = compared(policy(more="mode: shadow"), policy(), [let_on]).changes
    assert (change.now, change.certain) == ("unknown", False)


def test_the_word_of_a_shadow_policy_is_no_decision() -> None:
    found = compared(policy(), policy(method="PUT"), [line(outcome=None, shadow_outcome="deny")])
    assert (found.same, found.unreadable, found.changes) == (0, 0, ())


@pytest.mark.parametrize(
    "name", ["reason", "method", "host", "path", "route", "client_id", "audience", "peer_principal"]
)
def test_a_line_in_which_a_text_is_no_text_is_unreadable(name: str) -> None:
    assert compared(policy(), policy(more="clients: [rgs]"), [line(**{name: ["x"]})]).unreadable == 1
