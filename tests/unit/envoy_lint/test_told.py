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


def test_an_issuers_file_has_no_routes(tmp_path: Path) -> None:
    (tmp_path / "ott.yaml").write_text("issuer: {url: https://i}\n")
    assert expectations_at(tmp_path / "ott.yaml").routes == ()


def test_a_policy_with_a_mistake_is_told(config: Path) -> None:
    (config.parent / "policy.yaml").write_text("routes: [{nme: a}]\n")
    with pytest.raises(DocumentError, match="did you mean 'name'"):
        expectations_at(config)
