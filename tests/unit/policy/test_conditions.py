"""Header conditions: exactly as written, once, and never an invitation."""

import pytest

from ott_extauthz.model.reason import Reason
from ott_extauthz.policy.conditions import ANY_HEADERS, Conditions, ambiguity, implies, may_both_hold, specificity

ACME = Conditions((("x-tenant", "acme"),))
ANYONE = Conditions((("x-tenant", None),))
GRPC = Conditions(is_grpc=True)


@pytest.mark.parametrize(
    ("conditions", "headers", "holds"),
    [
        (ANY_HEADERS, {}, True),
        (ACME, {"x-tenant": ("acme",)}, True),
        (ACME, {"x-tenant": ("ACME",)}, False),
        (ACME, {"x-tenant": ("acme ",)}, False),
        (ACME, {"x-tenant": ("acme2",)}, False),
        (ACME, {"x-tenant": ("",)}, False),
        (ACME, {}, False),
        (ANYONE, {"x-tenant": ("x",)}, True),
        (ANYONE, {"x-tenant": ("",)}, False),
        (ANYONE, {}, False),
        (GRPC, {"content-type": ("application/grpc",)}, True),
        (GRPC, {"content-type": ("application/grpc+proto",)}, True),
        (GRPC, {"content-type": ("application/grpc;charset=utf-8",)}, True),
        (GRPC, {"content-type": ("APPLICATION/GRPC",)}, True),
        (GRPC, {"content-type": ("application/grpc-web",)}, False),
        (GRPC, {"content-type": ("application/grpc-web+proto",)}, False),
        (GRPC, {"content-type": ("application/grpcx",)}, False),
        (GRPC, {"content-type": ("application/json",)}, False),
        (GRPC, {"content-type": ("text/plain; application/grpc",)}, False),
        (GRPC, {}, False),
    ],
)
def test_a_condition_holds_for_what_is_written_and_nothing_else(
    conditions: Conditions, headers: dict[str, tuple[str, ...]], *, holds: bool
) -> None:
    assert conditions.hold(headers) is holds


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, None),
        ({"x-tenant": ("acme",)}, None),
        ({"x-other": ("a", "b")}, None),
        ({"x_other": ("a",)}, None),
        ({"x-tenant": ("acme", "acme")}, Reason.HEADER_DUPLICATED),
        ({"x-tenant": ("acme", "globex")}, Reason.HEADER_DUPLICATED),
        ({"x-tenant": ("acme,globex",)}, Reason.HEADER_DUPLICATED),
        ({"x-tenant": (",",)}, Reason.HEADER_DUPLICATED),
        ({"x_tenant": ("globex",)}, Reason.HEADER_LOOKALIKE),
        ({"x-tenant": ("acme",), "x_tenant": ("globex",)}, Reason.HEADER_LOOKALIKE),
    ],
)
def test_a_deciding_header_that_two_servers_could_read_in_two_ways_is_refused(
    headers: dict[str, tuple[str, ...]], reason: Reason | None
) -> None:
    assert ambiguity(headers, frozenset({"x-tenant"})) is reason


def test_what_implies_and_excludes_what() -> None:
    globex, both = Conditions((("x-tenant", "globex"),)), Conditions((("x-a", "1"), ("x-tenant", "acme")))
    assert implies(ACME, ANYONE)
    assert not implies(ANYONE, ACME)
    assert implies(both, ACME)
    assert not implies(ACME, both)
    assert implies(GRPC, ANY_HEADERS)
    assert not implies(ANY_HEADERS, GRPC)
    assert not may_both_hold(ACME, globex)
    assert may_both_hold(ACME, ANYONE)
    assert may_both_hold(ACME, Conditions((("x-a", "1"),)))
    assert specificity(both) > specificity(ACME) > specificity(ANYONE) > specificity(ANY_HEADERS)
