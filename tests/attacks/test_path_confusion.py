"""Paths and hosts that one server reads in one way and the next in another, to get around a rule.

Every example is one that Envoy 1.40 was seen to forward, or that an advisory tells of.  The policy has what such
attacks need: something guarded, and something public that is broad enough to slip through.
"""

import pytest

from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.document import policy_from
from ott_extauthz.policy.routes import CredentialKind, Route
from ott_extauthz.policy.target import canonical_target

TABLE = policy_from(
    """
revision: attacked
routes:
  - name: admin
    match: {path: /admin}
    credential: one_time_token
    audience: admin.api
  - name: admin-below
    match: {path: "/admin/{rest**}"}
    credential: one_time_token
    audience: admin.api
  - name: debit
    match: {hosts: [wallet.api], methods: [POST], path: "/v1/wallets/{wallet}/debit"}
    credential: one_time_token
    audience: wallet.api
  - name: public
    match: {path: "/{any**}"}
    credential: public
""",
    "policy.yaml",
).table


def ask(path: str, *, method: str = "GET", host: str = "site.example", scheme: str = "https") -> Route | Reason:
    target = canonical_target(method, scheme, host, path)
    found = target if isinstance(target, Rejection) else TABLE.match(method, target, {})
    return found.reason if isinstance(found, Rejection) else found


def is_open(found: Route | Reason) -> bool:
    return isinstance(found, Route) and found.credential is CredentialKind.PUBLIC


def test_the_policy_under_attack_has_an_open_door_and_a_closed_one() -> None:
    assert is_open(ask("/open/to/all"))
    for path in ("/admin", "/admin/x", "/%61dmin", "/admin/%2561"):
        assert not is_open(ask(path))


def test_path_without_a_leading_slash_skips_interceptors_cve_2026_33186() -> None:
    for path in ("admin", "", "admin/x", "?/admin", "*", "\\admin"):
        assert isinstance(ask(path), Reason)


def test_a_path_in_capitals_which_express_and_asp_net_take_for_the_guarded_one() -> None:
    for path in ("/ADMIN", "/Admin/", "/%41dmin", "/admiN/x", "/ADMIN;x", "/ADMIN/x/y"):
        assert ask(path) is Reason.PATH_AMBIGUOUS
    for path in ("/V1/wallets/7/debit", "/v1/wallets/7/DEBIT"):
        assert ask(path, method="POST", host="wallet.api") is Reason.PATH_AMBIGUOUS
        assert ask(path, method="GET", host="wallet.api") is Reason.ROUTE_UNKNOWN
    assert is_open(ask("/ADMINS"))
    assert isinstance(ask("/v1/wallets/ADMIN/debit", method="POST", host="wallet.api"), Route)


def test_double_slash_read_as_an_authority_cve_2026_26205() -> None:
    """opa-envoy-plugin took `//admin/x` for host `admin` and path `/x`."""
    assert ask("//admin/x") is Reason.PATH_AMBIGUOUS
    assert ask("//site.example/admin") is Reason.PATH_AMBIGUOUS


def test_absolute_form_is_no_path() -> None:
    assert ask("http://site.example/admin") is Reason.PATH_MALFORMED


def test_question_mark_encoded_into_the_path_cve_2026_32811() -> None:
    """heimdall re-encoded the target, so that the query became part of the path."""
    assert ask("/admin%3Fx") is Reason.PATH_AMBIGUOUS
    assert ask("/admin%253fx") is Reason.PATH_AMBIGUOUS
    found = ask("/admin?/open&x=/../open?y")
    assert isinstance(found, Route)
    assert found.name == "admin"


@pytest.mark.parametrize(
    "path",
    [
        "//admin",
        "/open//admin",
        "/open/..%2fadmin",
        "/open%2f..%2fadmin",
        "/open%5c..%5cadmin",
        "/open\\..\\admin",
        "/\\admin",
    ],
)
def test_slashes_in_disguise_cve_2021_29492_istio_security_2021_005(path: str) -> None:
    assert ask(path) is Reason.PATH_AMBIGUOUS


@pytest.mark.parametrize(
    "path",
    [
        *("/..;/admin", "/.;/admin", "/open;v=1/../admin", "/a;v=1/../b", "/open/..;/admin", "/open/%2e%2e;/admin"),
        *(
            "/open/..%3b/admin",
            "/open/..%253b/admin",
            "/a/%2e%2e;/b",
            "/a/..%3b/b",
            "/open/.%2e;x=y/admin",
            "/open/..;",
        ),
    ],
)
def test_path_parameters_and_dots_cve_2026_73511_73551_73553(path: str) -> None:
    assert ask(path) is Reason.PATH_AMBIGUOUS


@pytest.mark.parametrize(
    "path", ["/admin;", "/admin;v=1", "/admin;jsessionid=A1", "/admin;/x", "/admin%3Bv", "/%61dmin;v", "/admin;a;b/"]
)
def test_path_parameters_hide_a_guarded_name(path: str) -> None:
    """Java servers drop them before they look for a handler."""
    assert ask(path) is Reason.PATH_AMBIGUOUS


@pytest.mark.parametrize(
    "path",
    [
        *("/a/../b//c%2Fd;x=1?q=1", "/open/../admin", "/open/./../admin", "/open/%2e%2e/admin", "/open/%2E./admin"),
        *(
            "/open/%252e%252e/admin",
            "/open/.%252e/admin",
            "/open/%25%32%65%25%32%65/admin",
            "/open/%%32%65%%32%65/admin",
        ),
        *(
            "/a%252fb",
            "/open/..%252fadmin",
            "/open%252f..%252fadmin",
            "/open/..%255cadmin",
            "/open/%25252e%25252e/admin",
        ),
    ],
)
def test_dots_and_slashes_under_one_two_and_three_layers_of_encoding(path: str) -> None:
    assert ask(path) in (Reason.PATH_AMBIGUOUS, Reason.PATH_MALFORMED)


@pytest.mark.parametrize("path", ["/%2561dmin", "/%2561%2564min", "/admi%256E", "/%2561dmin/x", "/%2561dmin;x"])
def test_a_guarded_name_under_two_layers_of_encoding(path: str) -> None:
    assert ask(path) is Reason.PATH_AMBIGUOUS


@pytest.mark.parametrize(
    "path", ["/a%zz", "/admin%", "/%admin", "/%6", "/open/%2/../admin", "/%u0061dmin", "/%+61dmin"]
)
def test_bad_escapes_that_each_decoder_repairs_in_its_own_way(path: str) -> None:
    assert isinstance(ask(path), Reason)


@pytest.mark.parametrize(
    "path", ["/open/%c0%ae%c0%ae/admin", "/open%c0%afadmin", "/%e0%80%ae/admin", "/%c1%a1dmin", "/adm%E9n"]
)
def test_overlong_and_broken_utf8(path: str) -> None:
    """A lenient decoder finds dots, slashes and letters in bytes that are no UTF-8."""
    assert ask(path) is Reason.PATH_AMBIGUOUS


@pytest.mark.parametrize(
    "path", ["/admin\xe9", "/\u0430dmin", "/adm\u0131n", "/\uff0fadmin", "/open/\u2025/admin", "/adm\ufb01n"]
)
def test_rules_match_ascii_and_never_a_decoded_text_type_cve_2026_73552(path: str) -> None:
    assert ask(path) is Reason.PATH_MALFORMED


@pytest.mark.parametrize(
    "path",
    [
        "/admin%00",
        "/admin%00.png",
        "/admin%2500.png",
        "/admin\0",
        "/admin%0a",
        "/admin%0d%0aX:y",
        "/admin%09",
        "/admin\t",
    ],
)
def test_nul_and_control_bytes_that_cut_a_path_short(path: str) -> None:
    assert isinstance(ask(path), Reason)


@pytest.mark.parametrize("path", ["/admin#", "/admin#/../open", "/open#/../../admin", "/admin%23", "/admin%2523x"])
def test_fragment_in_path_cve_2021_32779(path: str) -> None:
    assert isinstance(ask(path), Reason)


@pytest.mark.parametrize("path", ["/admin/", "/admin/?x", "/%61dmin/"])
def test_trailing_slash(path: str) -> None:
    assert not is_open(ask(path))


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "TRACE", "CONNECT", "M-SEARCH"])
def test_another_method_does_not_fall_through_to_a_broad_public_route(method: str) -> None:
    assert ask("/v1/wallets/w/debit", method=method, host="wallet.api") is Reason.ROUTE_UNKNOWN


@pytest.mark.parametrize("method", ["get", "Post", "POST ", "PO ST", "POST\r\nX:", ""])
def test_a_method_that_only_a_lenient_server_takes(method: str) -> None:
    assert ask("/v1/wallets/w/debit", method=method, host="wallet.api") is Reason.REQUEST_MALFORMED


@pytest.mark.parametrize("path", ["", "wallet.api:443", "/"])
def test_connect_is_answered_and_never_open_cve_2026_50572_73547(path: str) -> None:
    assert isinstance(ask(path, method="CONNECT", host="wallet.api:443"), Reason)


@pytest.mark.parametrize(
    "host",
    [
        "wallet.api.",
        "wallet.api:443",
        "WALLET.API",
        "Wallet.Api.:443",
        "wallet.api:8443",
        "wallet.api:80",
        "WALLET.api.:1",
    ],
)
def test_trailing_dot_port_and_case_of_a_host_do_not_lead_to_the_routes_of_any_host(host: str) -> None:
    assert not is_open(ask("/v1/wallets/w/debit", method="POST", host=host))


def test_two_host_lines_joined_by_envoy() -> None:
    assert ask("/v1/wallets/w/debit", method="POST", host="api.example.com,evil.com") is Reason.HOST_MALFORMED
    assert ask("/v1/wallets/w/debit", method="POST", host="wallet.api,wallet.api") is Reason.HOST_MALFORMED


@pytest.mark.parametrize(
    "host",
    [
        "",
        "a@b",
        "evil@wallet.api",
        "a%2eb",
        "wallet%2eapi",
        "wallet.api/",
        "wallet.api?",
        "wallet.api#@evil",
        "wallet\u3002api",
    ],
)
def test_hosts_that_are_no_hosts(host: str) -> None:
    assert ask("/v1/wallets/w/debit", method="POST", host=host) is Reason.HOST_MALFORMED


def test_oversized_host_cve_2026_73550() -> None:
    assert ask("/open", host="a." * 30_000 + "example") is Reason.HOST_MALFORMED


def test_the_scheme_decides_on_a_default_port_and_on_nothing_else_ghsa_vhr5_ggp3_qq85() -> None:
    """oathkeeper believed X-Forwarded-Proto; here no scheme opens a door that another keeps shut."""
    for scheme in ("http", "https", "HTTPS", "ftp", "", "https,http"):
        for host in ("wallet.api", "wallet.api:80", "wallet.api:443"):
            assert not is_open(ask("/v1/wallets/w/debit", method="POST", host=host, scheme=scheme))


def test_a_route_named_by_envoy_does_not_carry_a_path_past_a_narrower_route() -> None:
    """Envoy's own matching said `public`; the table still knows better."""
    for path in ("/admin", "/admin/x", "/admin;x", "/%2561dmin", "/admin/"):
        target = canonical_target("GET", "https", "site.example", path)
        assert not isinstance(target, Rejection)
        assert isinstance(TABLE.named("public", "GET", target, {}), Rejection)
