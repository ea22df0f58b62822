"""What may an attaching route say?  Whatever would only look like a guard is a mistake at load."""

import pytest

from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.policy.document import Policy, policy_from
from ott_extauthz.policy.limits import Bound
from ott_extauthz.policy.routes import Attachment, CredentialKind

HEAD = """
revision: "r"
routes:
  - name: out
    match: {hosts: [wallet.api], methods: [POST], path: "/v1/{wallet}"}
"""
ATTACH = "    attach: one_time_token\n    audience: wallet.api\n"


def loaded(lines: str, head: str = HEAD) -> Policy:
    return policy_from(head + "".join(f"    {line}\n" for line in lines.splitlines()), "p.yaml")


def problems(lines: str) -> str:
    with pytest.raises(DocumentError) as caught:
        loaded(lines)
    return "\n".join(map(str, caught.value.problems))


def test_what_is_left_out_asks_for_all_that_the_issuer_grants() -> None:
    [route] = loaded("", HEAD + ATTACH).table.routes
    assert (route.credential, route.attachment) == (CredentialKind.ATTACHED, Attachment(audience="wallet.api"))


def test_everything_that_it_can_say() -> None:
    text = (
        "scopes: [a, b]\nbound_to_request: [method, body]\nallow_unbuffered_empty: true\n"
        "to: {header: authorization, scheme: Bearer}\n"
        'when: \'request.path_params.wallet != "x" && mesh.region == "EU"\''
    )
    [route] = loaded(text, HEAD + ATTACH).table.routes
    assert route.attachment == Attachment(
        audience="wallet.api",
        scope=frozenset({"a", "b"}),
        bound_to_request=frozenset({Bound.METHOD, Bound.BODY}),
        header="authorization",
        scheme="Bearer",
    )
    assert route.limits.allow_unbuffered_empty
    assert len(route.rules.conditions) == 1


@pytest.mark.parametrize(
    "line",
    [
        "bound_to: [workload]", "unbound: accept the risk", "clients: [rgs]", "roles: [payer]", "max_auth_age: 5m",
        "from: {header: x-ott}", "constraints: {region: EU}", "mode: shadow", "reservation: true",
        "amount: {value: /a, currency_is: EUR}", "brand: {from: {header: x-brand}}",
    ],
)  # fmt: skip
def test_a_requirement_on_an_attaching_route_would_guard_nothing(line: str) -> None:
    key = line.partition(":")[0]
    assert f"routes[0].{key}: an attaching route asks its workload for no token" in problems(
        f"attach: one_time_token\n{line}"
    )


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            "attach: one_time_token\ncredential: public",
            "routes[0].attach: a route either checks (credential) or attaches",
        ),
        ("attach: one_time_token\ncredential: one_time_token\naudience: a", "never both"),
        ("audience: a", "routes[0].credential: required: what a request must carry; or attach"),
        ("credential: public\nto: {header: x-ott}", "routes[0].to: says where an attached token is put"),
        ("attach: one_time_token", "routes[0].audience: required"),
        ("attach: access_token\naudience: a", "routes[0].attach"),
        ("attach:\naudience: a", "routes[0].attach: has no value"),
        ("attach: one_time_token\naudience: a\nwhen: 'token.sub == \"a\"'", "an attaching route has no token.sub"),
        ("attach: one_time_token\naudience: a\ndeny_when: 'has(peer.spiffe_id)'", "has no peer.spiffe_id"),
        ("attach: one_time_token\naudience: a\nwhen: 'mandate.identifier == \"a\"'", "has no mandate.identifier"),
        ("attach: one_time_token\naudience: a\nto: {header: authorization}", "authorization needs a scheme"),
        ("attach: one_time_token\naudience: a\nto: {header: x-api-key}", "a credential of the workload's own"),
        ("attach: one_time_token\naudience: a\nto: {header: x-ott-subject}", "this header has another meaning"),
        ("attach: one_time_token\naudience: a\nto: {header: host}", "this header has another meaning"),
    ],
)
def test_a_mistake_is_told_with_its_place(lines: str, message: str) -> None:
    assert message in problems(lines)


def test_the_policys_clients_are_not_asked_about_requests_that_leave() -> None:
    """Nobody calls an attaching route: a client that could would only silence the warning about idle grants."""
    policy = loaded("", HEAD + ATTACH + "clients:\n  - client_id: rgs\n")
    assert [str(warning) for warning in policy.warnings] == ["p.yaml:9:5: clients[0]: can call no route of this policy"]
