"""The policy file: closed, told all its mistakes at once, and never laxer than it looks."""

import re

import pytest

from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.policy.document import Policy, policy_from
from ott_extauthz.policy.routes import Asks, BoundTo, CredentialKind, Route

FULL = """
revision: "2026-11-21.1"
routes:
  - name: wallet-debit
    match: {hosts: [wallet.api, "wallet.api:8443"], methods: [POST], path: "/v1/wallets/{wallet}/debit"}
    credential: one_time_token
    audience: wallet.api
    bound_to: [certificate, workload]
    clients: [rgs]
    scopes: ["wallet:debit"]
    max_auth_age: 5m
    from: {header: authorization, scheme: Bearer}
  - name: bearer
    match: {path: "/files/{rest**}"}
    credential: one_time_token
    audience: files.api
    bound_to: []
    unbound: accept the risk
  - name: health
    match: {methods: [GET], path: /healthz}
    credential: public
  - name: server-options
    match: {methods: [OPTIONS], path: "*"}
    credential: public
"""
ONE = """
revision: r1
routes:
  - name: a
    match: {{{match}}}
    credential: one_time_token
    audience: a.api
{more}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        policy_from(text, "p.yaml")
    return [str(problem) for problem in caught.value.problems]


def of_one(more: str = "", *, match: str = "path: /a") -> str:
    return ONE.format(match=match, more=f"    {more}" if more else "")


def compiled(text: str) -> Policy:
    return policy_from(text, "p.yaml")


def test_a_policy_becomes_its_revision_and_its_routes() -> None:
    policy = compiled(FULL)
    assert policy.revision == "2026-11-21.1"
    assert policy.table.routes == (
        Route(
            name="wallet-debit",
            credential=CredentialKind.ONE_TIME_TOKEN,
            audience="wallet.api",
            parts=(
                Asks(
                    credential=CredentialKind.ONE_TIME_TOKEN,
                    bound_to=frozenset({BoundTo.CERTIFICATE, BoundTo.WORKLOAD}),
                    header="authorization",
                    scheme="Bearer",
                ),
            ),
            clients=frozenset({"rgs"}),
            scopes=frozenset({"wallet:debit"}),
            max_auth_age_ms=300_000,
        ),
        Route(
            name="bearer",
            credential=CredentialKind.ONE_TIME_TOKEN,
            audience="files.api",
            parts=(Asks(credential=CredentialKind.ONE_TIME_TOKEN, unbound=True),),
        ),
        Route(name="health", credential=CredentialKind.PUBLIC),
        Route(name="server-options", credential=CredentialKind.PUBLIC),
    )


def test_what_is_not_said_is_the_safe_choice() -> None:
    (route,) = compiled(of_one()).table.routes
    assert route.asks.bound_to == {BoundTo.CERTIFICATE}
    assert (route.asks.unbound, route.asks.header, route.asks.scheme) == (False, "x-ott", None)
    assert (route.clients, route.scopes, route.max_auth_age_ms) == (None, frozenset(), None)


def test_every_problem_is_told_at_once_each_at_its_place() -> None:
    found = problems(
        """
revision: ""
routes:
  - name: a b
    match: {hosts: [A.api], methods: [post], path: "/x/{y}.z", pth: /}
    credential: session
  - name: b
    match: {path: "/x/{y}"}
    credential: public
    audience: b.api
  - name: b
    match: {path: "/x/{z}/"}
    credential: one_time_token
    clients: []
    max_auth_age: 5
"""
    )
    assert [line.split(" ", 2)[:2] for line in found] == [
        ["p.yaml:2:11:", "revision:"],
        ["p.yaml:4:11:", "routes[0].name:"],
        ["p.yaml:5:21:", "routes[0].match.hosts[0]:"],
        ["p.yaml:5:39:", "routes[0].match.methods[0]:"],
        ["p.yaml:5:52:", "routes[0].match.path:"],
        ["p.yaml:5:69:", "routes[0].match.pth:"],
        ["p.yaml:6:17:", "routes[0].credential:"],
        ["p.yaml:10:15:", "routes[1].audience:"],
        ["p.yaml:11:5:", "routes[2].audience:"],
        ["p.yaml:11:11:", "routes[2].name:"],
        ["p.yaml:12:12:", "routes[2].match:"],
        ["p.yaml:14:14:", "routes[2].clients:"],
        ["p.yaml:15:19:", "routes[2].max_auth_age:"],
    ]


@pytest.mark.parametrize(
    "text", ["", "[]", "7", "revision: r", "revision: r\nroutes: []", "revision: r\nroutes: {}", "routes: 5"]
)
def test_a_policy_without_routes_is_refused(text: str) -> None:
    assert problems(text)


@pytest.mark.parametrize(
    "item", ["7", "~", "[]", "{}", "{match: 5}", "{match: {path: 5}}", "{match: {hosts: x, methods: 5}}"]
)
def test_a_route_of_the_wrong_shape_is_a_problem_and_no_crash(item: str) -> None:
    assert problems(f"revision: r\nroutes: [{item}]")


def test_unknown_keys_are_refused_with_a_suggestion() -> None:
    assert problems(of_one("scope: [a]")) == ["p.yaml:8:12: routes[0].scope: unknown key; did you mean 'scopes'?"]
    assert problems(of_one("source: {header: x-a}")) == ["p.yaml:8:13: routes[0].source: unknown key"]


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a/b", "é", "a" * 64, '"a\\n"', "a,b"])
def test_a_route_name_is_fit_for_a_metric_label_and_a_header(name: str) -> None:
    assert any("routes[0].name" in line for line in problems(of_one().replace("name: a", f"name: {name}")))


@pytest.mark.parametrize("revision", ['""', '"a b"', '"a\\r\\nx: y"', '"é"', "1", '"' + "r" * 129 + '"'])
def test_a_revision_is_fit_for_an_audit_line(revision: str) -> None:
    assert any(": revision: " in line for line in problems(of_one().replace("r1", revision)))


def test_a_credential_of_the_design_that_is_not_built_yet_is_said_to_be_so() -> None:
    (line,) = problems(of_one().replace("one_time_token", "session"))
    assert line.endswith("routes[0].credential: this version has no session")


@pytest.mark.parametrize("word", ["bearer", "none", "[]", "{}", "1", "PUBLIC", "all_of", "attached"])
def test_any_other_credential_is_refused(word: str) -> None:
    (line,) = problems(of_one().replace("one_time_token", word))
    assert "Input should be 'one_time_token', 'mandate', 'access_token', 'api_key'" in line


@pytest.mark.parametrize(
    "line",
    [
        "audience: a.api",
        "bound_to: [certificate]",
        "bound_to: []",
        "unbound: accept the risk",
        "clients: [rgs]",
        "scopes: [x]",
        "max_auth_age: 5m",
        "from: {header: x-token}",
        "mode: shadow",
    ],
)
def test_a_public_route_that_looks_guarded_is_refused(line: str) -> None:
    name = line.partition(":")[0]
    text = of_one(line).replace("one_time_token", "public").replace("    audience: a.api\n", "", 1)
    assert problems(text) == [
        f"p.yaml:7:{7 + len(name)}: routes[0].{name}: a public route asks for no token, so {name} would guard nothing"
    ]


def test_a_token_route_names_its_audience() -> None:
    assert problems(of_one().replace("    audience: a.api\n", "")) == [
        "p.yaml:4:5: routes[0].audience: required: a token is for one audience"
    ]


@pytest.mark.parametrize("key", ["audience", "clients", "scopes", "max_auth_age", "bound_to", "unbound", "from"])
def test_a_key_without_a_value_never_means_anything_goes(key: str) -> None:
    text = of_one(f"{key}:") if key != "audience" else of_one().replace("audience: a.api", "audience:")
    assert any(f"routes[0].{key}: " in line for line in problems(text))


@pytest.mark.parametrize(
    "match",
    ["path: /a, hosts: ", "path: /a, methods: ", "path: /a, hosts: [], methods: [GET]", "path: /a, methods: []"],
)
def test_empty_hosts_or_methods_never_mean_any(match: str) -> None:
    assert problems(of_one(match=match))


@pytest.mark.parametrize("more", ["clients: []", "scopes: []", 'clients: [""]', "clients: [a, a]", 'audience2: ""'])
def test_empty_and_doubled_requirements_are_refused(more: str) -> None:
    assert problems(of_one(more))


@pytest.mark.parametrize("value", ['""', '"a b"', "'a\"b'", '"a\\\\b"', '"a\\r\\nx: y"', '"é"', "5"])
@pytest.mark.parametrize("key", ["audience", "clients", "scopes"])
def test_what_ends_up_in_a_header_keeps_to_the_scope_grammar(key: str, value: str) -> None:
    """RFC 6749 §3.3; a quote or a line break would write the rest of WWW-Authenticate."""
    text = of_one().replace("a.api", value) if key == "audience" else of_one(f"{key}: [{value}]")
    assert problems(text)


def test_an_unbound_token_takes_the_exact_words() -> None:
    (line,) = problems(of_one("bound_to: []"))
    assert "write `unbound: accept the risk`" in line
    assert problems(of_one("bound_to: []\n    unbound: accept risk"))
    assert problems(of_one("bound_to: []\n    unbound: true"))
    (route,) = compiled(of_one("bound_to: []\n    unbound: accept the risk")).table.routes
    assert route.asks.unbound


@pytest.mark.parametrize("more", ["unbound: accept the risk", "bound_to: [workload]\n    unbound: accept the risk"])
def test_the_words_of_risk_stand_only_where_there_is_one(more: str) -> None:
    (line,) = problems(of_one(more))
    assert "routes[0].unbound: stands only beside `bound_to: []`" in line


def test_misspelled_bindings_are_refused() -> None:
    assert problems(of_one("bound_to: [cert]"))
    assert problems(of_one("bound_to: certificate"))
    assert problems(of_one("bound_to: [workload, workload]"))


@pytest.mark.parametrize("age", ["0s", "0ms", "5", "5 m", "-5m", '""'])
def test_a_max_auth_age_is_a_positive_duration(age: str) -> None:
    assert problems(of_one(f"max_auth_age: {age}"))


@pytest.mark.parametrize(
    "header",
    [
        *("X-Token", '":authority"', '"x token"', "x_token", '""', '"x\\r\\ny"', "é"),
        *("host", "x-ott-subject", "x-ott-token-id", "x-forwarded-client-cert", "x-forwarded-for", "x-envoy-peer"),
        *("connection", "content-length", "transfer-encoding", "te", "upgrade", "cookie", "client-cert", "dpop"),
    ],
)
def test_a_header_that_means_something_else_carries_no_credential(header: str) -> None:
    assert any("routes[0].from.header" in line for line in problems(of_one(f"from: {{header: {header}}}")))


@pytest.mark.parametrize(
    ("source", "header", "scheme"),
    [
        ("{}", "x-ott", None),
        ("{header: x-token}", "x-token", None),
        ("{header: authorization, scheme: Bearer}", "authorization", "Bearer"),
        ("{header: txn-token, scheme: Bearer}", "txn-token", "Bearer"),
    ],
)
def test_the_credential_may_stand_in_another_header(source: str, header: str, scheme: str | None) -> None:
    (route,) = compiled(of_one(f"from: {source}")).table.routes
    assert (route.asks.header, route.asks.scheme) == (header, scheme)


def test_authorization_without_a_scheme_is_refused() -> None:
    assert "needs a scheme" in problems(of_one("from: {header: authorization}"))[0]
    assert "a scheme is a token" in problems(of_one('from: {header: authorization, scheme: "Bearer x"}'))[0]


@pytest.mark.parametrize(
    ("host", "complaint"),
    [
        ("API.example", "write it as 'api.example'"),
        ("api.example.", "write it as 'api.example'"),
        ('"api.example:443"', "write it as 'api.example'"),
        ('"api.example:80"', "write it as 'api.example'"),
        ('"[::0001]"', "write it as '[::1]'"),
        ('"*.1.2.3.4"', "not a host"),
        ('"*.[::1]"', "not a host"),
        ('"*.*.example"', "not a host"),
        ('"a.*.example"', "not a host"),
        ('"*example"', "not a host"),
        ('"*.Example."', "write it as '*.example'"),
        ('"*.example:443"', "write it as '*.example'"),
        ('"*"', "not a host"),
        ('""', "not a host"),
        ('"https://api.example"', "not a host"),
    ],
)
def test_a_host_stands_in_its_canonical_spelling_or_would_never_match(host: str, complaint: str) -> None:
    (line,) = problems(of_one(match=f"hosts: [{host}], path: /a"))
    assert complaint in line


def test_the_asterisk_is_for_options_alone() -> None:
    for methods in ("", "methods: [GET], ", "methods: [OPTIONS, GET], "):
        assert "needs methods: [OPTIONS]" in problems(of_one(match=f'{methods}path: "*"'))[0]


TWO = """
revision: r1
routes:
  - name: a
    match: {{{one}}}
    credential: public
  - name: b
    match: {{{other}}}
    credential: public
"""


@pytest.mark.parametrize(
    ("one", "other", "complaint"),
    [
        ("path: /a", "path: /a", "matches the same requests: any method, any host"),
        ('path: "/{a}"', 'path: "/{b}"', "matches the same requests"),
        ('path: "/{a**}"', 'path: "/{b**}"', "matches the same requests"),
        ("path: /a, methods: [GET, PUT]", "path: /a, methods: [POST, PUT]", "matches the same requests: PUT, any host"),
        ("path: /a, hosts: [x, y]", "path: /a, hosts: [y, z]", "matches the same requests: any method, y"),
        ("path: /a, hosts: [x], methods: [GET]", "path: /a, hosts: [x], methods: [GET]", "same requests: GET, x"),
        ("path: /a", "path: /a/", "differs by a trailing slash only"),
        ("path: /a, methods: [GET]", "path: /a/, methods: [POST]", "differs by a trailing slash only"),
        ('path: "/{a}/"', 'path: "/{b}"', "differs by a trailing slash only"),
    ],
)
def test_two_routes_never_want_the_same_request(one: str, other: str, complaint: str) -> None:
    (line,) = problems(TWO.format(one=one, other=other))
    assert line.startswith("p.yaml:8:12: routes[1].match: routes[0] ")
    assert complaint in line


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("path: /a", "path: /b"),
        ("path: /a", 'path: "/{a}"'),
        ('path: "/{a}"', 'path: "/{a**}"'),
        ("path: /a", "path: /a, methods: [GET]"),
        ("path: /a", "path: /a, hosts: [x]"),
        ("path: /a, hosts: [x]", "path: /a, hosts: [y]"),
        ("path: /a, methods: [GET]", "path: /a, methods: [HEAD]"),
        ("path: /", 'path: "*", methods: [OPTIONS]'),
    ],
)
def test_routes_that_the_order_tells_apart_live_together(one: str, other: str) -> None:
    assert len(compiled(TWO.format(one=one, other=other)).table.routes) == 2


def test_a_name_stands_once() -> None:
    (line,) = problems(TWO.format(one="path: /a", other="path: /b").replace("name: b", "name: a"))
    assert line == "p.yaml:7:11: routes[1].name: routes[0] (a) has this name too"


def test_messages_never_repeat_a_line_break_of_the_file() -> None:
    for line in problems(of_one(match='hosts: ["a\\r\\nb"], methods: ["G\\n"], path: "/a\\n{b"')):
        assert not re.search(r"[\r\n]", line)


def test_a_mandate_comes_as_a_bearer_token_unless_the_route_says_otherwise() -> None:
    def place(more: str = "") -> tuple[str, str | None]:
        text = of_one().replace("credential: one_time_token", f"credential: mandate{more}")
        (route,) = compiled(text).table.routes
        assert route.credential is CredentialKind.MANDATE
        assert route.asks.bound_to == {BoundTo.CERTIFICATE}
        return route.asks.header, route.asks.scheme

    assert place() == ("authorization", "Bearer")
    assert place("\n    from: {keep: true}") == ("authorization", "Bearer")
    assert place("\n    from: {header: x-mandate}") == ("x-mandate", None)
    assert place("\n    from: {header: x-mandate, scheme: Bearer}") == ("x-mandate", "Bearer")


@pytest.mark.parametrize("line", ["audience: a.api\n", "bound_to"])
def test_a_route_for_mandates_is_held_to_what_a_route_for_tokens_is(line: str) -> None:
    text = of_one().replace("credential: one_time_token", "credential: mandate")
    if line == "bound_to":
        (found,) = problems(text.replace("    audience", "    bound_to: []\n    audience"))
        assert "unbound: accept the risk" in found
    else:
        assert any("required: a token is for one audience" in found for found in problems(text.replace(line, "\n")))
