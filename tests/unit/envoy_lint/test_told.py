"""What a policy's route needs of Envoy is read from the policy itself."""

import dataclasses
from pathlib import Path

import pytest

from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.envoy_lint.expectations import ExpectedRoute
from ott_extauthz.envoy_lint.told import expectations_at

POLICY = """
routes:
  - {name: health, match: {path: /healthz}, credential: public}
  - name: debit
    match: {hosts: [wallet.api], methods: [POST], path: "/v1/wallets/{wallet}/debit"}
    credential: one_time_token
    audience: wallet.api
    bound_to: [certificate]
  - name: whole
    match: {methods: [POST], path: /whole}
    credential: one_time_token
    audience: wallet.api
    bound_to: [certificate]
    bound_to_request: [method, path, body]
  - name: proven
    match: {path: /proven}
    credential: access_token
    audience: wallet.api
    bound_to: [dpop]
  - name: small
    match: {methods: [POST], path: /small}
    credential: one_time_token
    audience: wallet.api
    bound_to: [certificate]
    when: "request.json.amount < 5"
  - name: hook
    match: {methods: [POST], path: /hook}
    credential: signed_request
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "policy.yaml").write_text(POLICY)
    path = tmp_path / "ott.yaml"
    path.write_text(
        "policy: policy.yaml\n"
        "client_certificate: {source: xfcc, trusted_hops: 1, hop_identities: ['spiffe://a/b'], exact_hops: true}\n"
    )
    return path


def test_certificates_are_taken_as_configured(config: Path) -> None:
    told = expectations_at(config)
    assert (told.certificate_source, told.trusted_hops, told.exact_hops, told.is_told) == ("xfcc", 1, True, True)


def test_the_transport_is_what_listen_makes_of_it(config: Path) -> None:
    assert expectations_at(config).transport == "native"
    config.write_text(config.read_text() + "listen: {transport: grpcio}\n")
    assert expectations_at(config).transport == "grpcio"


def test_each_route_says_what_it_needs(config: Path) -> None:
    health, debit, whole, proven, small, hook = expectations_at(config).routes
    assert debit == ExpectedRoute(
        name="debit", hosts=("wallet.api",), methods=("POST",), path="/v1/wallets/{wallet}/debit", is_single_use=True,
        needs_body=False, needs_raw_body=False, headers=("x-ott",),
    )  # fmt: skip
    assert dataclasses.replace(health, headers=()) == ExpectedRoute(
        name="health", hosts=(), methods=(), path="/healthz", is_single_use=False, needs_body=False,
        needs_raw_body=False, is_public=True,
    )  # fmt: skip
    assert (whole.needs_body, whole.needs_raw_body) == (True, True)
    assert (small.needs_body, small.needs_raw_body) == (True, False)
    assert (hook.is_single_use, hook.needs_raw_body) == (True, True)
    assert {"signature", "signature-input", "webhook-signature", "x-signature"} <= set(hook.headers)
    assert (proven.is_single_use, set(proven.headers)) == (False, {"authorization", "dpop"})


NETWORKS = """
routes:
  - name: near
    match: {path: /near}
    credential: access_token
    audience: wallet.api
    constraints: {cidr: [10.0.0.0/8]}
  - name: there
    match: {path: /there}
    credential: access_token
    audience: wallet.api
    when: "request.source.ip == '10.0.0.1'"
  - {name: key, match: {path: /key}, credential: api_key}
  - name: anywhere
    match: {path: /anywhere}
    credential: access_token
    audience: wallet.api
"""


def test_routes_that_ask_where_a_caller_is_are_told_from_the_others(config: Path) -> None:
    (config.parent / "policy.yaml").write_text(NETWORKS)
    (config.parent / "keys.yaml").write_text("revision: r1\nkeys: []\n")
    config.write_text(config.read_text() + "api_keys: {file: keys.yaml, prefix: ottkey}\n")
    told = expectations_at(config)
    assert {route.name: route.judges_address for route in told.routes} == {
        "near": True, "there": True, "key": True, "anywhere": False,
    }  # fmt: skip
    assert told.may_judge_addresses
    assert not dataclasses.replace(told, routes=told.routes[-1:]).may_judge_addresses


def test_where_callers_share_an_asked_issuer_their_addresses_count(config: Path) -> None:
    """Or whoever writes X-Forwarded-For is as many callers as it likes, and takes everybody's places."""
    (config.parent / "policy.yaml").write_text(NETWORKS[NETWORKS.index("  - name: anywhere") :].join(["routes:\n", ""]))
    assert not expectations_at(config).may_judge_addresses
    config.write_text(config.read_text() + ASKED)
    assert expectations_at(config).may_judge_addresses


ASKED = """introspection:
  - issuer: https://login.bank.example
    endpoint: https://login.bank.example/introspect
    client_id: wallet
    authentication: private_key_jwt
    key: wallet-key.pem
    algorithm: ES256
"""
FORMS = {
    "hmac": ({"x-signature", "x-timestamp", "x-nonce"}, "secret_file: s"),
    "eddsa": ({"x-signature", "x-timestamp", "x-nonce"}, "key_file: s"),
    "standard_webhooks": ({"webhook-id", "webhook-timestamp", "webhook-signature"}, "secret_file: s"),
    "http_signatures": ({"signature", "signature-input", "content-digest"}, "key_file: s, keyid: k"),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_signs_a_request_that_leaves_is_told_by_the_form_of_its_key(tmp_path: Path, form: str) -> None:
    sets, key = FORMS[form]
    route = "match: {hosts: [a.api], methods: [POST], path: /a}, attach: signed_request, sign: {key: to-a}"
    (tmp_path / "policy.yaml").write_text(f"routes: [{{name: a, {route}}}]\n")
    attach = f"{{signing_keys: [{{name: to-a, form: {form}, {key}}}]}}"
    (tmp_path / "ott.yaml").write_text(f"policy: policy.yaml\nattach: {attach}\n")
    [told] = expectations_at(tmp_path / "ott.yaml").routes
    # What the workload wrote under a signature's name is taken off, whatever the form.
    assert set(told.headers) == sets | {"x-signature", "webhook-signature", "signature", "signature-input"}


def test_an_issuers_file_has_no_routes(tmp_path: Path) -> None:
    (tmp_path / "ott.yaml").write_text("issuer: {url: https://i}\n")
    assert expectations_at(tmp_path / "ott.yaml").routes == ()


def test_a_policy_with_a_mistake_is_told(config: Path) -> None:
    (config.parent / "policy.yaml").write_text("routes: [{nme: a}]\n")
    with pytest.raises(DocumentError, match="did you mean 'name'"):
        expectations_at(config)
