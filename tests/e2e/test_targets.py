"""Paths and hosts that two programs read differently: refused, and the token kept (notes: "Path and host")."""

import pytest

from tests.e2e.rig import Rig

pytestmark = pytest.mark.e2e

AMBIGUOUS = (400, "path_ambiguous")
MALFORMED = (400, "path_malformed")
HOST_MALFORMED = (400, "host_malformed")
UNKNOWN = (403, "route_unknown")
BY_ENVOY = (400, None)

# On a listener that repairs nothing, and whose policy would let /files/{path**} through.
REFUSED_PATHS = [
    ("/files/../admin", AMBIGUOUS),
    ("/files/./a", AMBIGUOUS),
    ("/files/..", AMBIGUOUS),
    ("/files/%2e%2e/admin", AMBIGUOUS),
    ("/files/%2E./admin", AMBIGUOUS),
    ("/files/%252e%252e/admin", AMBIGUOUS),
    ("/files/..;/admin", AMBIGUOUS),
    ("/files/.;/admin", AMBIGUOUS),
    ("/files/..;v=1/admin", AMBIGUOUS),
    ("/files/%2e%2e;/admin", AMBIGUOUS),
    ("/files/..%3b/admin", AMBIGUOUS),
    ("/files//admin", AMBIGUOUS),
    ("//files/admin", AMBIGUOUS),
    ("//admin/x", AMBIGUOUS),
    ("/files/a%2fb", AMBIGUOUS),
    ("/files/a%2Fb", AMBIGUOUS),
    ("/files/a%252fb", AMBIGUOUS),
    ("/files/a%5cb", AMBIGUOUS),
    ("/files/a\\b", AMBIGUOUS),
    ("/files/a%00b", AMBIGUOUS),
    ("/files/a%c0%af", AMBIGUOUS),
    ("/files/a%zz", MALFORMED),
    ("/files/a%2", MALFORMED),
    ("/files/a%", MALFORMED),
    ("/" + "a" * 9000, MALFORMED),
    ("/a;v=1/../files/x", AMBIGUOUS),
    ("/admin", UNKNOWN),
    ("/", UNKNOWN),
    ("/FILES/a", UNKNOWN),
]


@pytest.mark.parametrize(("path", "expected"), REFUSED_PATHS)
def test_a_path_with_two_readings_is_refused_and_costs_no_token(rig: Rig, path: str, expected: tuple[int, str]) -> None:
    token = rig.good()
    answer = rig.call(listener="bare", target=path, token=token)
    assert answer.outcome == expected
    assert answer.deliveries == []
    assert rig.call(listener="bare", target="/files/a", token=token).status == 200


# The same on the shipped listener: Envoy refuses some itself, repairs others, and the rest is the server's to refuse.
SHIPPED_PATHS = [
    ("/files/a%2fb", BY_ENVOY),
    ("/files/a%5Cb", BY_ENVOY),
    ("/files/a%00b", BY_ENVOY),
    ("/v1/wallets/w/%2e%2e;/debit", AMBIGUOUS),
    ("/files/..%3b/b", AMBIGUOUS),
    ("/files/a%252fb", AMBIGUOUS),
    ("/files/a%zz", MALFORMED),
    ("/files/a#b", BY_ENVOY),
    ("/files/a\x01b", BY_ENVOY),
    ("/files/a\xffb", BY_ENVOY),
    ("/files/../admin", UNKNOWN),
    ("//admin", UNKNOWN),
]


@pytest.mark.parametrize(("path", "expected"), SHIPPED_PATHS)
def test_the_shipped_envoy_and_the_server_refuse_together(
    rig: Rig, path: str, expected: tuple[int, str | None]
) -> None:
    answer = rig.call(target=path, token=rig.good())
    assert answer.outcome == expected
    assert answer.deliveries == []


REPAIRED_PATHS = [
    ("/files/../v1/wallets/w-17/debit", "/v1/wallets/w-17/debit"),
    ("/v1//wallets/w-17/debit", "/v1/wallets/w-17/debit"),
    ("/v1/./wallets/w-17/debit", "/v1/wallets/w-17/debit"),
    ("/v1/wallets/w%2D17/debit", "/v1/wallets/w-17/debit"),
    ("/files/..;/v1/wallets/w-17/debit", "/v1/wallets/w-17/debit"),
]


@pytest.mark.parametrize(("sent", "judged"), REPAIRED_PATHS)
def test_what_the_shipped_envoy_repairs_is_judged_and_delivered_as_one_path(rig: Rig, sent: str, judged: str) -> None:
    answer = rig.call(target=sent, token=rig.good())
    assert answer.status == 200
    decided = rig.access_log(answer.case)[0]["ott"]
    assert decided["route"] == "wallet-debit"
    assert answer.delivery.target in (judged, sent.replace("//", "/"))


@pytest.mark.parametrize(
    "path", ["/files/a?x=/../../admin", "/files/a?q=%2f..%00%zz", "/files/a?a?b//c", "/files/~a-b_c.d"]
)
def test_a_query_decides_nothing(rig: Rig, path: str) -> None:
    answer = rig.call(target=path, token=rig.good())
    assert answer.status == 200
    assert answer.delivery.target == path


def test_an_unknown_method_is_an_unknown_route(rig: Rig) -> None:
    assert rig.call(method="PUT", token=rig.good()).outcome == UNKNOWN
    assert rig.call(method="DELETE", token=rig.good()).outcome == UNKNOWN


def test_a_lower_case_method_is_refused_before_us(rig: Rig) -> None:
    assert rig.call(method="post", token=rig.good()).outcome in (BY_ENVOY, (400, "request_malformed"), UNKNOWN)


def test_head_is_not_get_on_a_public_route(rig: Rig) -> None:
    assert rig.call(method="GET", target="/healthz").status == 200
    assert rig.call(method="HEAD", target="/healthz").outcome == UNKNOWN


def test_options_asterisk_has_no_route(rig: Rig) -> None:
    assert rig.call(method="OPTIONS", target="*", token=rig.good()).status in (400, 403, 404)


PASSING_HOSTS = ["wallet.api", "WALLET.API", "wallet.api.", "Wallet.Api.:443", "wallet.api:443"]


@pytest.mark.parametrize("host", PASSING_HOSTS)
def test_one_host_in_its_spellings_is_one_host(rig: Rig, host: str) -> None:
    assert rig.call(listener="bare", host=host, token=rig.good()).status == 200


REFUSED_HOSTS = [
    ("", HOST_MALFORMED),
    ("wallet.api,evil.example", HOST_MALFORMED),
    ("a@wallet.api", HOST_MALFORMED),
    ("wallet%2eapi", HOST_MALFORMED),
    ("wallet.api..", HOST_MALFORMED),
    ("wallet..api", HOST_MALFORMED),
    ("wallet.api:", HOST_MALFORMED),
    ("wallet.api:0443", HOST_MALFORMED),
    ("wallet.api:99999", HOST_MALFORMED),
    ("[::1", HOST_MALFORMED),
    ("w" * 300 + ".api", HOST_MALFORMED),
    ("evil.example", UNKNOWN),
    ("wallet.api.evil.example", UNKNOWN),
    ("wallet.api:8443", UNKNOWN),
    ("127.0.0.1", UNKNOWN),
]


@pytest.mark.parametrize(("host", "expected"), REFUSED_HOSTS)
def test_a_host_that_is_none_or_not_ours_is_refused(rig: Rig, host: str, expected: tuple[int, str]) -> None:
    answer = rig.call(listener="bare", host=host, token=rig.good())
    assert answer.outcome in (expected, BY_ENVOY)
    assert answer.deliveries == []


def test_two_host_lines_are_no_host(rig: Rig) -> None:
    answer = rig.call(listener="bare", headers=[("host", "evil.example")], token=rig.good())
    assert answer.outcome in (HOST_MALFORMED, BY_ENVOY)


def test_no_host_at_all_is_refused_by_envoy(rig: Rig) -> None:
    assert rig.call(listener="bare", host=None, token=rig.good()).outcome == BY_ENVOY


def test_an_absolute_form_target_overrides_the_host_header_and_is_what_is_judged(rig: Rig) -> None:
    assert (
        rig.call(target="https://wallet.api/v1/wallets/w-17/debit", host="evil.example", token=rig.good()).status == 200
    )
    assert rig.call(target="https://evil.example/v1/wallets/w-17/debit", token=rig.good()).outcome == UNKNOWN


@pytest.mark.parametrize("name", ["x-original-uri", "x-envoy-original-path", "x-forwarded-uri", "x-forwarded-prefix"])
def test_headers_that_name_another_target_decide_nothing(rig: Rig, name: str) -> None:
    """CVE-2023-27487, CVE-2024-45806: the target is Envoy's own fields."""
    spoofed = [(name, "/healthz"), ("x-forwarded-host", "ledger.api"), ("x-forwarded-method", "GET")]
    assert rig.call(headers=spoofed).outcome == (401, "credential_missing")
    assert rig.call(target="/admin", headers=[(name, "/healthz")]).outcome == UNKNOWN


# --- routes that Envoy names


def test_a_route_named_by_envoy_is_taken_when_it_matches(rig: Rig) -> None:
    answer = rig.call(listener="routes", target="/v1/wallets/named/debit", token=rig.good())
    assert answer.status == 200
    assert rig.access_log(answer.case)[0]["ott"]["route"] == "wallet-debit"


def test_a_route_name_the_policy_does_not_have_is_refused(rig: Rig) -> None:
    answer = rig.call(listener="routes", target="/v1/wallets/unknown/debit", token=rig.good())
    assert answer.outcome == (403, "route_name_unknown")


def test_a_route_name_never_widens_the_match(rig: Rig) -> None:
    answer = rig.call(listener="routes", target="/v1/wallets/mismatch/debit", token=rig.good())
    assert answer.outcome == (403, "route_name_mismatch")
