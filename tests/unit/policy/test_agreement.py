"""Mistakes between the parts of a policy: told at load, at their place, naming both sides, with a suggestion."""

import re
from typing import Any

import pytest
from pydantic import TypeAdapter

from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.document import Policy, PolicyDocument, policy_from, policy_from_files
from ott_extauthz.policy.routes import Route
from ott_extauthz.policy.target import canonical_target

TOKEN = "credential: one_time_token, audience: a.api"
PUBLIC = "credential: public"


def policy(*routes: str, head: str = "") -> str:
    lines = "".join(f"  - {{name: r{index}, {route}}}\n" for index, route in enumerate(routes))
    return f"revision: r1\n{head}routes:\n{lines}"


def problems(text: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        policy_from(text, "p.yaml")
    return [re.sub(r"^p\.yaml:\d+:\d+: ", "", str(problem)) for problem in caught.value.problems]


def warnings(text: str) -> list[str]:
    return [re.sub(r"^p\.yaml:\d+:\d+: ", "", str(warning)) for warning in policy_from(text, "p.yaml").warnings]


def chosen(of: Policy, what: str, host: str = "h", **headers: str) -> str:
    method, _, path = what.partition(" ")
    target = canonical_target(method, "https", host, path)
    assert not isinstance(target, Rejection)
    found = of.table.match(method, target, {name.replace("_", "-"): (value,) for name, value in headers.items()})
    return found.name if isinstance(found, Route) else found.reason


def test_a_match_by_suffix_headers_and_grpc() -> None:
    of = policy_from(
        policy(
            f'match: {{hosts: ["*.api"], path: /a, headers: {{x-tenant: acme, x-trace: {{present: true}}}}}}, {TOKEN}',
            f"match: {{grpc: {{service: pkg.v1.Wallet, method: Debit}}}}, {TOKEN}",
            f"match: {{grpc: {{service: pkg.v1.Wallet}}}}, {TOKEN}",
        ),
        "p.yaml",
    )
    assert chosen(of, "GET /a", "x.api", x_tenant="acme", x_trace="1") == "r0"
    assert chosen(of, "GET /a", "x.api", x_tenant="acme") == "route_condition_unmet"
    assert chosen(of, "POST /pkg.v1.Wallet/Debit", content_type="application/grpc") == "r1"
    assert chosen(of, "POST /pkg.v1.Wallet/Read", content_type="application/grpc+proto") == "r2"
    assert chosen(of, "POST /pkg.v1.Wallet/Read", content_type="application/json") == "route_condition_unmet"


@pytest.mark.parametrize(
    ("match", "complaint"),
    [
        ("{}", "write one of path and grpc"),
        ("{hosts: [a]}", "write one of path and grpc"),
        ("{path: /a, grpc: {service: a.B}}", "write one of path and grpc"),
        ("{grpc: {service: a.B}, methods: [POST]}", "leave them out"),
        ("{grpc: {service: a.B}, headers: {content-type: x}}", "leave them out"),
        ("{grpc: {service: a/B}}", "a gRPC service is written package.Service"),
        ("{grpc: {service: a..B}}", "a gRPC service is written"),
        ('{grpc: {service: a.B, method: "{x}"}}', "a gRPC method is a name"),
        ("{grpc: {method: Do}}", "required"),
        ("{path: /a, headers: {}}", "at least 1 item"),
        ("{path: /a, headers: {X-Tenant: a}}", "a lower-case token"),
        ("{path: /a, headers: {x_tenant: a}}", "a lower-case token"),
        ('{path: /a, headers: {":path": a}}', "a lower-case token"),
        ("{path: /a, headers: {host: a}}", "selects no route"),
        ("{path: /a, headers: {cookie: a}}", "selects no route"),
        ("{path: /a, headers: {authorization: a}}", "selects no route"),
        ("{path: /a, headers: {x-ott: a}}", "selects no route"),
        ("{path: /a, headers: {x-forwarded-for: a}}", "selects no route"),
        ('{path: /a, headers: {x-a: "1,2"}}', "write the exact value"),
        ('{path: /a, headers: {x-a: ""}}', "write the exact value"),
        ('{path: /a, headers: {x-a: " b"}}', "write the exact value"),
        ('{path: /a, headers: {x-a: "é"}}', "write the exact value"),
        ("{path: /a, headers: {x-a: 5}}", "write the exact value"),
        ("{path: /a, headers: {x-a: true}}", "write the exact value"),
        ("{path: /a, headers: {x-a: {present: false}}}", "write the exact value"),
        ("{path: /a, headers: {x-a: {present: 1}}}", "write the exact value"),
        ("{path: /a, headers: {x-a: {present: true, b: 1}}}", "write the exact value"),
        ("{path: /a, headers: {x-a: ~}}", "write the exact value"),
        ("{path: /a, hots: [x]}", "unknown key; did you mean 'hosts'?"),
    ],
)
def test_a_match_that_could_not_mean_what_it_says_is_refused(match: str, complaint: str) -> None:
    assert any(complaint in line for line in problems(policy(f"match: {match}, {TOKEN}")))


A = "path: /a"


@pytest.mark.parametrize(
    ("one", "other", "complaint"),
    [
        (f"{A}, headers: {{x-a: '1'}}", f"{A}, headers: {{x-b: '1'}}", "matches the same requests"),
        (f"{A}, headers: {{x-a: '1'}}", f"{A}, headers: {{x-a: '1'}}", "matches the same requests"),
        (f"{A}, methods: [GET]", f"{A}, headers: {{x-a: '1'}}", "neither"),
        (f"{A}, hosts: ['*.api']", f"{A}, hosts: ['*.api', b]", "matches the same requests: any method, *.api"),
        (f"{A}, hosts: [x.api]", "path: /a/, hosts: ['*.api']", "differs by a trailing slash only"),
        ("path: /a.B/C, methods: [POST]", "grpc: {service: a.B, method: C}", None),
        (f"{A}, headers: {{x-a: '1'}}", f"{A}, headers: {{x-a: '2'}}", None),
        (f"{A}, headers: {{x-a: '1'}}", f"{A}, headers: {{x-a: {{present: true}}}}", None),
        (f"{A}, headers: {{x-a: '1'}}", A, None),
        (f"{A}, methods: [GET], headers: {{x-a: '1'}}", f"{A}, headers: {{x-a: '1'}}", None),
        (f"{A}, hosts: [x.api]", f"{A}, hosts: ['*.api']", None),
        (f"{A}, hosts: [y]", "path: /a/, hosts: ['*.api']", None),
    ],
)
def test_overlaps_that_could_surprise_are_told_with_both_names(one: str, other: str, complaint: str | None) -> None:
    text = policy(f"match: {{{one}}}, {TOKEN}", f"match: {{{other}}}, {TOKEN}")
    if complaint is None:
        assert len(policy_from(text, "p.yaml").table.routes) == 2
        return
    (line,) = problems(text)
    assert line.startswith("routes[1].match: routes[0] (r0) ")
    assert (complaint if complaint != "neither" else "name both in one of them") in line


@pytest.mark.parametrize(
    ("public", "guarded", "complaint"),
    [
        ("path: '/{x**}', hosts: [api]", "path: /admin", "comes before routes[1] (r1)"),
        ("path: '/{x**}', hosts: ['*.api']", "path: /admin", "comes before"),
        ("path: '/{x**}', hosts: [a.api]", "path: /admin, hosts: ['*.api']", "comes before"),
        ("path: '/a/{x}'", "path: '/{y}/keys'", "comes before"),
        ("path: '/{x**}', hosts: ['*.b.api', web]", "path: /admin, hosts: ['*.api']", "comes before"),
        ("path: '/{x**}', hosts: ['*.api']", "path: /admin, hosts: [x.api]", None),
        ("path: '/{x}', methods: [GET], hosts: [api]", "path: /admin, methods: [GET]", "comes before"),
        (f"{A}, headers: {{x-probe: '1'}}", A, "headers that every caller chooses"),
        (A, f"{A}, headers: {{x-tenant: acme}}", "headers that every caller chooses"),
        ("path: /admin/health", "path: '/admin/{x}'", None),
        ("path: /admin/health, methods: [GET]", "path: '/admin/{x}', methods: [GET, POST]", None),
        ("path: /admin/health", "path: '/admin/{x}', methods: [GET]", "comes before"),
        ("path: /admin/health, hosts: [api]", "path: '/admin/{x**}'", None),
        ("path: /a, methods: [GET]", A, None),
        ("path: '/{x**}'", "path: /admin", None),
        ("path: '/{x**}', hosts: [web]", "path: /admin, hosts: [api]", None),
        ("path: '/{x**}', methods: [GET], hosts: [api]", "path: /admin, methods: [POST]", None),
    ],
)
def test_a_public_route_that_comes_before_a_protected_one_is_an_error(
    public: str, guarded: str, complaint: str | None
) -> None:
    text = policy(f"match: {{{public}}}, {PUBLIC}", f"match: {{{guarded}}}, {TOKEN}")
    if complaint is None:
        assert policy_from(text, "p.yaml").table.routes
    else:
        (line,) = problems(text)
        assert line.startswith("routes[0].match: ")
        assert complaint in line


def test_what_a_public_route_takes_beside_a_narrower_protected_one_is_a_warning() -> None:
    guarded = f"match: {{methods: [POST], path: '/admin/{{x}}'}}, {TOKEN}"
    (line,) = warnings(policy(guarded, f"match: {{methods: [GET], path: '/{{r**}}'}}, {PUBLIC}"))
    assert line == "routes[1].match: public, also takes GET of routes[0] (r0)"
    (line,) = warnings(policy(guarded, f"match: {{path: '/{{r**}}'}}, {PUBLIC}"))
    assert line == "routes[1].match: public, also takes paths below that of routes[0] (r0)"
    assert warnings(policy(guarded, f"match: {{methods: [OPTIONS], path: '/{{r**}}'}}, {PUBLIC}")) == []
    assert warnings(policy(guarded, f"match: {{methods: [GET], path: /healthz}}, {PUBLIC}")) == []


@pytest.mark.parametrize(
    ("shadow", "guarded", "complaint"),
    [
        ("path: '/{x**}', hosts: [api]", "path: /admin", "in shadow, and comes before routes[1] (r1) where both match"),
        (f"{A}, headers: {{x-probe: '1'}}", A, "in shadow or routes[1] (r1) would be decided by headers"),
        (A, f"{A}, headers: {{x-tenant: acme}}", "headers that every caller chooses"),
    ],
)
def test_a_route_in_shadow_that_takes_the_requests_of_an_enforced_one_is_an_error(
    shadow: str, guarded: str, complaint: str
) -> None:
    (line,) = problems(policy(f"match: {{{shadow}}}, {TOKEN}, mode: shadow", f"match: {{{guarded}}}, {TOKEN}"))
    assert complaint in line


def test_a_route_in_shadow_within_an_enforced_one_is_a_warning_since_it_opens_a_hole() -> None:
    guarded = f"match: {{path: '/admin/{{x**}}'}}, {TOKEN}"
    shadow = f"match: {{path: /admin/users}}, {TOKEN}, mode: shadow"
    (line,) = warnings(policy(guarded, shadow))
    assert line == "routes[1].match: in shadow, also takes requests of routes[0] (r0)"
    assert warnings(policy(f"{guarded}, mode: shadow", shadow)) == []
    assert warnings(policy(guarded, f"match: {{path: /other}}, {TOKEN}, mode: shadow")) == []


def test_a_method_left_out_on_the_very_same_path_is_a_warning_too() -> None:
    guarded = f"match: {{methods: [POST], path: /admin}}, {TOKEN}"
    (line,) = warnings(policy(guarded, f"match: {{methods: [GET], path: /admin}}, {PUBLIC}"))
    assert line == "routes[1].match: public, also takes GET of routes[0] (r0)"


def test_a_warning_names_a_few_and_counts_the_others() -> None:
    guarded = [f"match: {{path: /admin{index}}}, {TOKEN}" for index in range(9)]
    (line,) = warnings(policy(*guarded, f"match: {{path: '/{{r**}}'}}, {PUBLIC}"))
    assert line.endswith("of routes[2] (r2), and 6 more")


ROLES = "roles: {payer: [pay], reader: [read]}\n"
RGS = "clients: [{client_id: rgs, roles: [payer]}]\n"


@pytest.mark.parametrize(
    ("head", "route", "expected"),
    [
        (ROLES + RGS, "roles: [payr]", "routes[0].roles[0]: no such role; did you mean 'payer'?"),
        (
            ROLES + "clients: [{client_id: rgs, roles: [radeer]}]\n",
            "",
            "clients[0].roles[0]: no such role; did you mean 'reader'?",
        ),
        (
            ROLES + "clients: [{client_id: rgs}]\n",
            "",
            "clients[0].roles: required where the policy has roles; [] grants no scope",
        ),
        (RGS, "", "clients[0].roles[0]: no such role"),
        (ROLES, "roles: [payer]", "routes[0].roles: the policy has no clients, so nobody has a role"),
        ("clients: [{roles: []}]\n", "", "clients[0]: known by nothing; name one of client_id, spiffe_id, sha256"),
        ("clients: [{client_id: a, rols: []}]\n", "", "clients[0].rols: unknown key; did you mean 'roles'?"),
        ("clients: []\n", "", "clients: List should have at least 1 item after validation, not 0"),
        ("clients: [{client_id: a}, {client_id: a}]\n", "", "clients[1]: clients[0] is known by the same"),
        (
            "clients: [{client_id: a, spiffe_id: 'spiffe://b/../c'}]\n",
            "",
            "clients[0].spiffe_id: written spiffe://trust.domain/path",
        ),
        ("clients: [{sha256: abc}]\n", "", "clients[0].sha256: the SHA-256 of a certificate is 64 hexadecimal digits"),
        (
            "clients: [{client_id: a, may_call: {}}]\n",
            "",
            "clients[0].may_call: names none of routes, audiences, hosts",
        ),
        (
            "clients: [{client_id: a, may_call: {routes: [r00]}}]\n",
            "",
            "clients[0].may_call.routes[0]: takes no route; did you mean 'r0'?",
        ),
        (
            "clients: [{client_id: a, may_call: {audiences: ['b.*']}}]\n",
            "",
            "clients[0].may_call.audiences[0]: takes no audience",
        ),
        (
            "clients: [{client_id: a, may_call: {routes: ['*0']}}]\n",
            "",
            "clients[0].may_call.routes[0]: write it in full, or as a beginning and `*`",
        ),
        (RGS + ROLES, "scopes: [read]", "routes[0]: can never be called: no client"),
        (RGS + ROLES, "roles: [reader]", "routes[0]: can never be called: no client"),
        (
            RGS + ROLES,
            "clients: [other]",
            "routes[0]: can never be called: its clients are not among the policy's clients",
        ),
        (
            "clients: [{client_id: a, may_call: {hosts: [b]}}]\n",
            "match: {path: /a, hosts: [c]}",
            "routes[0]: can never be called: no client",
        ),
    ],
)
def test_clients_and_roles_that_mean_nothing_are_told(head: str, route: str, expected: str) -> None:
    match = "" if "match" in route else "match: {path: /a}, "
    found = problems(policy(f"{match}{route + ', ' if route else ''}{TOKEN}", head=head))
    assert any(line.startswith(expected) for line in found), found


def test_a_role_of_two_files_or_a_public_route_with_roles_is_refused() -> None:
    line = "routes[0].roles: a public route asks for no token, so roles would guard nothing"
    assert line in problems(policy(f"match: {{path: /a}}, roles: [payer], {PUBLIC}", head=ROLES + RGS))


def test_what_two_files_say_of_one_name_must_agree() -> None:
    route = f"match: {{path: /a}}, {TOKEN}"
    head = ROLES + RGS
    with pytest.raises(DocumentError) as caught:
        policy_from_files([(policy(route, head=head), "a.yaml"), ("revision: r2\nroles: {payer: [read]}\n", "b.yaml")])
    assert [re.sub(r":\d+:\d+:", ":", str(problem)) for problem in caught.value.problems] == [
        "b.yaml: revision: a.yaml has another revision; write it once, or the same everywhere",
        "b.yaml: roles.payer: a.yaml has this role too",
    ]


def test_a_route_of_another_file_is_named_with_its_place() -> None:
    text = policy(f"match: {{path: /a}}, {TOKEN}")
    with pytest.raises(DocumentError) as caught:
        policy_from_files([(text, "a.yaml"), (text.replace("/a", "/b"), "b.yaml")])
    assert [str(problem) for problem in caught.value.problems] == [
        "b.yaml:3:12: routes[0].name: a.yaml:3: routes[0] (r0) has this name too"
    ]


def test_a_policy_without_routes_is_told_at_its_routes() -> None:
    assert problems("revision: r1\n") == ["routes: required: a policy without routes refuses everything"]


def test_a_route_that_nobody_can_call_is_told_behind_a_public_one_too() -> None:
    head = "clients: [{client_id: a, may_call: {hosts: [b]}}]\n"
    found = problems(policy(f"match: {{path: /p}}, {PUBLIC}", f"match: {{path: /a, hosts: [c]}}, {TOKEN}", head=head))
    assert any(line.startswith("routes[1]: can never be called: no client") for line in found), found


def test_a_grant_without_use_is_a_warning() -> None:
    head = ROLES + "clients: [{client_id: rgs, roles: [payer]}, {client_id: idle, roles: []}]\n"
    assert warnings(policy(f"match: {{path: /a}}, clients: [rgs], {TOKEN}", head=head)) == [
        "roles.reader: no client has this role",
        "clients[1]: can call no route of this policy",
    ]


def test_a_certificate_is_known_by_its_digits_as_openssl_prints_them() -> None:
    digits = "AB:" * 31 + "AB"
    of = policy_from(policy(f"match: {{path: /a}}, {TOKEN}", head=f"clients: [{{sha256: '{digits}'}}]\n"), "p.yaml")
    assert of.clients is not None
    assert list(of.clients._by_name) == [b"\xab" * 32]
    twice = f"clients: [{{sha256: '{digits}'}}, {{sha256: {'ab' * 32}}}]\n"
    assert "clients[1]: clients[0] is known by the same" in problems(
        policy(f"match: {{path: /a}}, {TOKEN}", head=twice)
    )


def test_the_schema_is_closed_and_describes_every_field() -> None:
    """Editors complete and explain a policy from it."""
    schema = TypeAdapter(PolicyDocument).json_schema()
    models: dict[str, Any] = {"PolicyDocument": schema, **schema["$defs"]}
    for name, model in models.items():
        assert model["additionalProperties"] is False, name
        assert model["description"], name
        for field, described in model["properties"].items():
            assert described.get("description"), f"{name}.{field}"
    assert set(models) >= {"RouteRule", "MatchRule", "GrpcRule", "FromRule", "ClientRule", "MayCallRule"}
