"""The route table: the documented order, the default denial, and no way around a narrow route."""

import pytest

from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.conditions import Conditions
from ott_extauthz.policy.paths import Node
from ott_extauthz.policy.routes import CredentialKind, Match, Route
from ott_extauthz.policy.table import RouteTable
from ott_extauthz.policy.target import CanonicalTarget, canonical_target
from ott_extauthz.policy.template import template_from

Hosts = tuple[str, ...] | None


def route(name: str) -> Route:
    return Route(name=name, credential=CredentialKind.PUBLIC)


def table(*rows: tuple[str, str] | tuple[str, str, Hosts]) -> RouteTable:
    """Build a table from ``("GET,PUT /a", name)`` rows; ``* /a`` means any method; a third part names hosts."""
    entries = []
    for what, name, *hosts in rows:
        methods, _, path = what.partition(" ")
        match = Match(
            template=template_from(path),
            methods=None if methods == "*" else tuple(methods.split(",")),
            hosts=hosts[0] if hosts else None,
        )
        entries.append((match, route(name)))
    return RouteTable(entries)


def target(path: str, *, host: str = "api", method: str = "GET", scheme: str = "https") -> CanonicalTarget:
    found = canonical_target(method, scheme, host, path)
    assert isinstance(found, CanonicalTarget)
    return found


def chosen(of: RouteTable, what: str, *, host: str = "api") -> str | Reason:
    method, _, path = what.partition(" ")
    found = of.match(method, target(path, host=host, method=method), {})
    return found.reason if isinstance(found, Rejection) else found.name


def test_what_no_route_names_is_refused() -> None:
    assert chosen(RouteTable([]), "GET /") is Reason.ROUTE_UNKNOWN
    assert chosen(table(("GET /a", "a")), "GET /b") is Reason.ROUTE_UNKNOWN
    assert chosen(table(("GET /a", "a")), "GET /a/b") is Reason.ROUTE_UNKNOWN
    assert chosen(table(("GET /a/b", "a")), "GET /a") is Reason.ROUTE_UNKNOWN
    assert chosen(table(("GET /a", "a", ("x",))), "GET /a") is Reason.ROUTE_UNKNOWN


def test_a_literal_goes_before_a_parameter_before_the_rest() -> None:
    of = table(("* /a", "literal"), ("* /{x}", "parameter"), ("* /{x**}", "rest"))
    assert chosen(of, "GET /a") == "literal"
    assert chosen(of, "GET /b") == "parameter"
    assert chosen(of, "GET /a/b") == "rest"


def test_the_leftmost_segment_decides_first() -> None:
    of = table(("* /{x}/b", "right"), ("* /a/{y}", "left"), ("* /a/{y**}", "left-rest"))
    assert chosen(of, "GET /a/b") == "left"
    assert chosen(of, "GET /a/b/c") == "left-rest"
    assert chosen(of, "GET /c/b") == "right"


def test_a_branch_that_ends_is_left_again() -> None:
    of = table(("* /a/b/c", "literal"), ("* /a/{y}/d", "middle"), ("* /{x}/b/e", "first"), ("* /{x**}", "rest"))
    assert chosen(of, "GET /a/b/c") == "literal"
    assert chosen(of, "GET /a/b/d") == "middle"
    assert chosen(of, "GET /a/b/e") == "first"
    assert chosen(of, "GET /a/b/f") == "rest"


def test_the_exact_host_goes_before_any_host() -> None:
    of = table(("* /{x**}", "ours", ("api",)), ("* /a", "any"))
    assert chosen(of, "GET /a") == "ours"
    assert chosen(of, "GET /a", host="other") == "any"
    assert chosen(of, "GET /b", host="other") is Reason.ROUTE_UNKNOWN


def test_what_the_exact_host_does_not_name_falls_to_any_host() -> None:
    of = table(("* /a", "ours", ("api",)), ("GET /healthz", "health"))
    assert chosen(of, "GET /healthz") == "health"


def test_the_exact_method_goes_before_any_method() -> None:
    of = table(("GET /a", "get"), ("* /a", "any"))
    assert chosen(of, "GET /a") == "get"
    assert chosen(of, "POST /a") == "any"


def test_head_is_not_get() -> None:
    assert chosen(table(("GET /a", "get")), "HEAD /a") is Reason.ROUTE_UNKNOWN


def test_a_method_left_out_is_not_caught_by_a_broader_path_that_takes_any() -> None:
    of = table(("GET /admin", "admin"), ("* /{x}", "public"), ("* /{x**}", "all"))
    assert chosen(of, "HEAD /admin") is Reason.ROUTE_UNKNOWN
    assert chosen(of, "POST /admin/") is Reason.ROUTE_UNKNOWN
    assert chosen(of, "POST /other") == "public"


def test_a_method_left_out_on_this_host_is_not_caught_by_any_host() -> None:
    of = table(("POST /a", "ours", ("api",)), ("* /a", "any"))
    assert chosen(of, "GET /a") is Reason.ROUTE_UNKNOWN
    assert chosen(of, "GET /a", host="other") == "any"


def test_a_broader_path_that_names_the_method_answers() -> None:
    """A public route for CORS preflights over the whole site."""
    of = table(("POST /v1/debit", "debit"), ("OPTIONS /{x**}", "preflight"))
    assert chosen(of, "OPTIONS /v1/debit") == "preflight"
    assert chosen(of, "OPTIONS /v1/debit/") == "preflight"


def test_a_parameter_never_takes_an_empty_segment() -> None:
    of = table(("* /{x}", "parameter"), ("* /a/{x**}", "rest"))
    assert chosen(of, "GET /") is Reason.ROUTE_UNKNOWN
    assert chosen(of, "GET /a/") is Reason.ROUTE_UNKNOWN
    assert chosen(table(("* /{x**}", "rest")), "GET /") is Reason.ROUTE_UNKNOWN


def test_the_rest_takes_one_segment_or_more_with_or_without_a_trailing_slash() -> None:
    of = table(("* /a/{x**}", "rest"))
    for path in ("/a/b", "/a/b/", "/a/b/c", "/a/b/c/"):
        assert chosen(of, f"GET {path}") == "rest"
    assert chosen(of, "GET /a") is Reason.ROUTE_UNKNOWN


def test_a_trailing_slash_is_not_overlooked() -> None:
    of = table(("* /a", "bare"), ("* /b/", "slash"), ("* /", "root"))
    assert chosen(of, "GET /a") == "bare"
    assert chosen(of, "GET /a/") is Reason.ROUTE_UNKNOWN
    assert chosen(of, "GET /b/") == "slash"
    assert chosen(of, "GET /b") is Reason.ROUTE_UNKNOWN
    assert chosen(of, "GET /") == "root"


@pytest.mark.parametrize(("guarded", "asked"), [("/admin", "/admin/"), ("/admin/", "/admin")])
def test_a_trailing_slash_does_not_lead_past_a_narrow_route(guarded: str, asked: str) -> None:
    of = table((f"* {guarded}", "admin"), ("* /{x}", "public"), ("* /{x**}", "all"))
    assert chosen(of, f"GET {guarded}") == "admin"
    assert chosen(of, f"GET {asked}") is Reason.PATH_AMBIGUOUS


@pytest.mark.parametrize(
    "path",
    [
        "/admin;x",
        "/admin;x=1;y",
        "/%2561dmin",
        "/admin%3Bx",
        "/admin%3Fx",
        "/%61dmin%253Bx",
        "/a%2564min;x",
        "/%61dmin;x/",
    ],
)
def test_a_path_that_reads_as_another_route_is_refused(path: str) -> None:
    of = table(("* /admin", "admin"), ("* /{x}", "public"), ("* /{x**}", "all"))
    assert chosen(of, f"GET {path}") is Reason.PATH_AMBIGUOUS


def test_a_path_that_reads_as_no_route_at_all_is_refused_too() -> None:
    """Read at its face it is public; read as `/a/b` it would be refused by default, so it must not get in this way."""
    of = table(("* /{x}/b/{y}/d", "public"))
    assert chosen(of, "GET /a/b/c/d") == "public"
    assert chosen(of, "GET /a/b%3Fx/c/d") is Reason.ROUTE_UNKNOWN
    assert chosen(of, "GET /a/b/c%3Fx/d") is Reason.PATH_AMBIGUOUS


def test_a_reading_whose_method_is_left_out_is_refused() -> None:
    of = table(("GET /admin", "admin"), ("* /{x}", "public"))
    assert chosen(of, "POST /%2561dmin") is Reason.PATH_AMBIGUOUS


@pytest.mark.parametrize("path", ["/caf%C3%A9", "/a%20b", "/a%2Bb", "/a@b", "/a;v=1", "/100%25", "/what%3F", "/%2561"])
def test_a_value_of_a_parameter_may_be_spelled_in_many_ways_where_one_route_takes_them_all(path: str) -> None:
    assert chosen(table(("* /{x}", "only")), f"GET {path}") == "only"


def test_an_escaped_literal_is_found_under_either_spelling_of_a_request() -> None:
    of = table(("* /caf%C3%A9", "coffee"), ("* /@me", "me"), ("* /{x}", "public"))
    assert chosen(of, "GET /caf%c3%a9") == "coffee"
    assert chosen(of, "GET /@me") == "me"
    assert chosen(of, "GET /%40me") is Reason.PATH_AMBIGUOUS


def test_the_asterisk_is_neither_the_root_nor_a_segment() -> None:
    of = table(("OPTIONS *", "server"), ("* /", "root"), ("* /*", "star"))
    assert chosen(of, "OPTIONS *") == "server"
    assert chosen(of, "OPTIONS /") == "root"
    assert chosen(of, "OPTIONS /*") == "star"
    assert chosen(table(("* /{x**}", "all")), "OPTIONS *") is Reason.ROUTE_UNKNOWN


@pytest.mark.parametrize("host", ["wallet:9999", "WALLET.:81", "wallet:443"])
def test_a_foreign_port_does_not_lead_from_a_known_host_to_the_routes_of_any_host(host: str) -> None:
    """Istio matches virtual hosts with the port ignored."""
    of = table(("* /debit", "debit", ("wallet",)), ("* /{x}", "public"))
    found = of.match("GET", target("/debit", host=host, scheme="http"), {})
    assert found == Rejection(Reason.PATH_AMBIGUOUS)
    assert chosen(of, "GET /open", host=host) == "public"


def test_a_dropped_or_changed_port_does_not_either() -> None:
    of = table(("* /debit", "debit", ("wallet:8443", "[::1]:8443")), ("* /{x}", "public"))
    for host in ("wallet", "wallet:9", "[::1]", "[::1]:9"):
        assert chosen(of, "GET /debit", host=host) is Reason.PATH_AMBIGUOUS
    for host in ("wallet:8443", "[::1]:8443"):
        assert chosen(of, "GET /debit", host=host) == "debit"
    assert chosen(of, "GET /debit", host="other:8443") == "public"


def test_a_port_that_the_policy_names_tells_hosts_apart() -> None:
    of = table(("* /a", "plain", ("api",)), ("* /a", "other", ("api:8443",)))
    assert chosen(of, "GET /a") == "plain"
    assert chosen(of, "GET /a", host="api:8443") == "other"
    assert chosen(of, "GET /a", host="api:1") is Reason.ROUTE_UNKNOWN


NAMED = (("* /public/{x**}", "files"), ("* /public/secret", "secret"), ("GET /admin", "admin"))


def test_a_named_route_answers_for_its_own_match() -> None:
    found = table(*NAMED).named("files", "GET", target("/public/a"), {})
    assert isinstance(found, Route)
    assert found.name == "files"


@pytest.mark.parametrize(
    ("name", "method", "path", "reason"),
    [
        ("ghost", "GET", "/admin", Reason.ROUTE_NAME_UNKNOWN),
        ("", "GET", "/admin", Reason.ROUTE_NAME_UNKNOWN),
        ("files", "GET", "/admin", Reason.ROUTE_NAME_MISMATCH),
        ("admin", "POST", "/admin", Reason.ROUTE_NAME_MISMATCH),
        ("admin", "GET", "/nowhere", Reason.ROUTE_NAME_MISMATCH),
        ("files", "GET", "/public/secret", Reason.ROUTE_NAME_MISMATCH),
        ("files", "GET", "/public/secret;x", Reason.PATH_AMBIGUOUS),
    ],
)
def test_a_name_never_widens_what_the_table_allows(name: str, method: str, path: str, reason: Reason) -> None:
    assert table(*NAMED).named(name, method, target(path), {}) == Rejection(reason)


def test_routes_that_overlap_are_a_programmers_error_here() -> None:
    with pytest.raises(ValueError, match="match the same"):
        table(("GET /{a}", "a"), ("GET /{b}", "b"))
    with pytest.raises(ValueError, match="trailing slash"):
        table(("GET /a", "a"), ("POST /a/", "b"))
    with pytest.raises(ValueError, match="two routes named"):
        table(("GET /a", "a"), ("GET /b", "a"), ("GET /c", "c"))


def by_headers(*rows: tuple[str, str, dict[str, str | None]], is_grpc: bool = False) -> RouteTable:
    """Build a table from ``("GET /a", name, conditions)``."""
    entries = []
    for what, name, conditions in rows:
        methods, _, path = what.partition(" ")
        match = Match(
            template=template_from(path),
            methods=None if methods == "*" else tuple(methods.split(",")),
            conditions=Conditions(tuple(sorted(conditions.items())), is_grpc),
        )
        entries.append((match, route(name)))
    return RouteTable(entries)


def with_headers(of: RouteTable, what: str, **headers: str | tuple[str, ...]) -> str | Reason:
    method, _, path = what.partition(" ")
    given = {name.replace("__", "-"): (value,) if isinstance(value, str) else value for name, value in headers.items()}
    found = of.match(method, target(path, method=method), given)
    return found.reason if isinstance(found, Rejection) else found.name


TENANTS: tuple[tuple[str, str, dict[str, str | None]], ...] = (
    ("GET /a", "acme", {"x-tenant": "acme"}),
    ("GET /a", "beta", {"x-beta": "1", "x-tenant": "acme"}),
    ("GET /a", "globex", {"x-tenant": "globex"}),
    ("GET /a", "nobody", {}),
    ("* /a", "any", {}),
    ("GET /{x**}", "broad", {}),
)


def test_the_narrowest_condition_that_holds_answers() -> None:
    of = by_headers(*TENANTS)
    assert with_headers(of, "GET /a", x__tenant="acme") == "acme"
    assert with_headers(of, "GET /a", x__tenant="acme", x__beta="1") == "beta"
    assert with_headers(of, "GET /a", x__tenant="globex") == "globex"
    assert with_headers(of, "GET /a", x__other="1") == "nobody"
    assert with_headers(of, "POST /a", x__tenant="acme") == "any"


@pytest.mark.parametrize("value", ["ACME", "acme ", "", "initech", "acme;globex", "acme\t"])
def test_a_value_that_no_route_foresaw_reaches_neither_the_plain_route_nor_a_broader_one(value: str) -> None:
    """Where the upstream reads `ACME` as `acme`, the plain route would let the tenant's call in unchecked."""
    assert with_headers(by_headers(*TENANTS), "GET /a", x__tenant=value) is Reason.ROUTE_CONDITION_UNMET


def test_a_header_that_another_route_names_does_not_ride_along() -> None:
    of = by_headers(*TENANTS)
    assert with_headers(of, "GET /a", x__tenant="acme", x__beta="2") is Reason.ROUTE_CONDITION_UNMET
    assert with_headers(of, "GET /a", x__tenant="globex", x__beta="1") is Reason.ROUTE_CONDITION_UNMET
    assert with_headers(of, "GET /a", x__beta="1") is Reason.ROUTE_CONDITION_UNMET


@pytest.mark.parametrize("values", [("acme", "globex"), ("acme", "acme"), ("acme,globex",), ("globex", "acme")])
def test_a_duplicated_or_joined_header_decides_nothing(values: tuple[str, ...]) -> None:
    assert with_headers(by_headers(*TENANTS), "GET /a", x__tenant=values) is Reason.HEADER_DUPLICATED


def test_an_underscore_does_not_smuggle_a_deciding_header() -> None:
    assert with_headers(by_headers(*TENANTS), "GET /a", x_tenant="acme") is Reason.HEADER_LOOKALIKE


def test_an_unmet_condition_opens_no_broader_path_host_or_method() -> None:
    of = by_headers(("GET /a", "narrow", {"x-k": "1"}), ("* /a", "any", {}), ("GET /{x**}", "broad", {}))
    assert with_headers(of, "GET /a", x__k="1") == "narrow"
    assert with_headers(of, "GET /a") is Reason.ROUTE_CONDITION_UNMET
    assert with_headers(of, "GET /a/", x__k="1") is Reason.PATH_AMBIGUOUS
    assert with_headers(of, "GET /a;x", x__k="1") is Reason.PATH_AMBIGUOUS
    assert with_headers(of, "GET /b") == "broad"


def test_a_grpc_route_takes_grpc_alone() -> None:
    of = by_headers(("POST /pkg.Service/Do", "do", {}), is_grpc=True)
    assert with_headers(of, "POST /pkg.Service/Do", content__type="application/grpc") == "do"
    assert with_headers(of, "POST /pkg.Service/Do", content__type="application/json") is Reason.ROUTE_CONDITION_UNMET
    assert with_headers(of, "GET /pkg.Service/Do", content__type="application/grpc") is Reason.ROUTE_UNKNOWN
    assert with_headers(of, "POST /pkg.Service/Other", content__type="application/grpc") is Reason.ROUTE_UNKNOWN


def test_a_name_is_held_to_the_conditions_too() -> None:
    of = by_headers(*TENANTS)
    assert of.named("acme", "GET", target("/a"), {}) == Rejection(Reason.ROUTE_NAME_MISMATCH)
    assert of.named("acme", "GET", target("/a"), {"x-tenant": ("ACME",)}) == Rejection(Reason.ROUTE_CONDITION_UNMET)
    found = of.named("acme", "GET", target("/a"), {"x-tenant": ("acme",)})
    assert isinstance(found, Route)


def test_conditions_of_which_neither_is_narrower_are_a_programmers_error_here() -> None:
    with pytest.raises(ValueError, match="match the same"):
        by_headers(("GET /a", "a", {"x-a": "1"}), ("GET /a", "b", {"x-b": "1"}))
    with pytest.raises(ValueError, match="match the same"):
        by_headers(("GET /a", "a", {"x-a": "1"}), ("GET /a", "b", {"x-a": "1"}))


SUFFIXES = (
    ("* /{x**}", "exact", ("a.b.api",)),
    ("* /{x**}", "longest", ("*.b.api",)),
    ("* /{x**}", "short", ("*.api",)),
    ("* /{x**}", "any"),
)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("a.b.api", "exact"),
        ("z.b.api", "longest"),
        ("y.z.b.api", "longest"),
        ("x.a.b.api", "longest"),
        ("b.api", "short"),
        ("z.api", "short"),
        ("api", "any"),
        ("zapi", "any"),
        ("z.xb.api", "short"),
        ("a.b.api.evil", "any"),
        ("10.0.0.1", "any"),
        ("[::1]", "any"),
    ],
)
def test_the_exact_host_goes_before_the_longest_suffix_before_any(host: str, name: str) -> None:
    assert chosen(table(*SUFFIXES), "GET /a", host=host) == name
    if host != "[::1]":
        assert chosen(table(*SUFFIXES), "GET /a", host=f"{host.upper()}.") == name


def test_what_a_suffix_leaves_out_is_not_caught_by_any_host() -> None:
    of = table(("POST /admin", "admin", ("*.api",)), ("* /{x**}", "public"))
    assert chosen(of, "POST /admin", host="a.api") == "admin"
    assert chosen(of, "GET /admin", host="a.api") is Reason.ROUTE_UNKNOWN
    assert chosen(of, "POST /admin/", host="a.api") is Reason.PATH_AMBIGUOUS
    assert chosen(of, "POST /admin", host="api") == "public"


def test_a_foreign_port_does_not_lead_past_a_suffix() -> None:
    of = table(("* /debit", "debit", ("*.api",)), ("* /debit", "other", ("*.api:8443",)), ("* /{x}", "public"))
    assert chosen(of, "GET /debit", host="a.api") == "debit"
    assert chosen(of, "GET /debit", host="a.api:8443") == "other"
    assert chosen(of, "GET /debit", host="a.api:9999") is Reason.PATH_AMBIGUOUS
    assert chosen(of, "GET /open", host="a.api:9999") == "public"


class Counting(dict[str, Node]):
    """A node's literals that count how often they are asked."""

    looked_up = 0

    def get(self, key: str, default: Node | None = None) -> Node | None:  # type: ignore[override]
        Counting.looked_up += 1
        return super().get(key, default)


@pytest.mark.parametrize("count", [100, 10_000])
def test_a_match_visits_as_many_nodes_as_the_path_has_segments_however_many_routes_there_are(count: int) -> None:
    of = table(*((f"GET /v1/op{index}/{{id}}/act", f"r{index}") for index in range(count)))
    _count_below(of._by_host.at(None))
    Counting.looked_up = 0
    assert chosen(of, f"GET /v1/op{count - 1}/7/act") == f"r{count - 1}"
    assert Counting.looked_up == 4


def test_the_worst_table_costs_one_visit_for_each_of_its_nodes() -> None:
    """Every segment may be taken by a literal and a parameter: 2^6 templates, and no more visits than nodes."""
    templates = [
        "".join(f"/{'a' if bits >> depth & 1 else '{p' + str(depth) + '}'}" for depth in range(6)) for bits in range(64)
    ]
    of = table(*((f"POST {path}", f"r{index}") for index, path in enumerate(templates)))
    _count_below(of._by_host.at(None))
    Counting.looked_up = 0
    assert chosen(of, "GET /a/a/a/a/a/a") is Reason.ROUTE_UNKNOWN
    assert Counting.looked_up == 2**6 - 1


def _count_below(node: Node) -> None:
    node.literals = Counting(node.literals)
    for child in (*node.literals.values(), *([node.parameter] if node.parameter else [])):
        _count_below(child)
