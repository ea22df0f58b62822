"""Tokens whose signature Envoy's own `jwt_authn` verified: what is left to us, and what must not get past both."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import rigs
from tests.e2e.forge import Forge, b64, now
from tests.e2e.gateway import JWT_AUTHN, SHIPPED, Tree, authz_of, hcm_of
from tests.e2e.rig import Answer, Rig
from tests.e2e.test_shipped_configuration import tls_files, validated

pytestmark = pytest.mark.e2e
on_memory = pytest.mark.parametrize("rig", rigs("memory"), indirect=True, scope="session")

ENVOYS_OWN = (401, None)
"""Envoy's refusal, without a reason of ours."""


def call(rig: Rig, token: str | None, path: str = "debit", **more: Any) -> Answer:
    return rig.call(**({"listener": "jwt-authn"} | more), token=token, target=f"/v1/verified/{path}")


@on_memory
def test_a_good_token_passes_once(rig: Rig) -> None:
    token = rig.good(act={"sub": "jackpot"}, authorization_details=[{"type": "mandate", "cidr": ["127.0.0.0/8"]}])
    first = call(rig, token)
    assert first.outcome == (200, None)
    assert [first.delivery.header(f"x-ott-{name}") for name in ("client", "actor")] == ["rgs", "jackpot"]
    assert first.delivery.all("x-ott") == []
    second = call(rig, token)
    assert (second.outcome, second.deliveries) == ((401, "token_replayed"), [])
    assert rig.call(token=token).outcome == (401, "token_replayed"), "also where we look at the signature ourselves"


@on_memory
@pytest.mark.parametrize("read", [int, lambda at: round(at, 3), float], ids=["seconds", "milliseconds", "float"])
def test_whole_seconds_and_parts_of_them_are_the_same_instant_to_both(rig: Rig, read: Callable[[float], float]) -> None:
    issued = read(now())
    assert call(rig, rig.good(iat=issued, exp=issued + 30, nbf=issued, auth_time=issued - 60.5)).outcome == (200, None)


@on_memory
def test_what_is_not_signed_is_refused_by_envoy(rig: Rig) -> None:
    good = rig.good()
    header, payload, signature = good.split(".")
    other = Forge(rig.forge.x5t_s256)
    forged = [
        other.token(),
        f"{header}.{payload}.{signature[:-4]}AAAA",
        f"{header}.{b64(json.dumps(rig.forge.claims(sub='admin')).encode())}.{signature}",
        rig.forge.signed(rig.forge.claims(), {"alg": "none"}) + "AA",
        rig.forge.signed(rig.forge.claims(), {"alg": "HS256"}),
    ]
    for token in (*forged, "rubbish", None):
        answer = call(rig, token)
        assert (answer.outcome, answer.deliveries) == (ENVOYS_OWN, []), token
    assert call(rig, good).outcome == (200, None), "and none of them cost the good one"


@on_memory
def test_where_the_filter_does_not_cover_the_route_nothing_passes(rig: Rig) -> None:
    token = rig.good()
    payload = token.split(".")[1]
    told = [
        [],
        [("x-jwt-payload", payload), ("ott-payload", payload), ("ott-header", token.split(".")[0])],
        [("envoy.filters.http.jwt.authn", payload), ("metadata-context", payload)],
    ]
    for headers in told:
        answer = call(rig, token, "uncovered", headers=headers)
        assert (answer.outcome, answer.deliveries) == ((401, "verified_payload_missing"), [])
    # A listener without the filter at all.
    missing = rig.call(token=token, target="/v1/verified/debit")
    assert (missing.outcome, missing.deliveries) == ((401, "verified_payload_missing"), [])
    assert call(rig, token).outcome == (200, None), "it was never spent"


@on_memory
def test_what_envoy_does_not_judge_is_judged_by_us(rig: Rig) -> None:
    issued = now()
    cases: list[tuple[str, str]] = [
        (rig.forge.signed(rig.forge.claims(), {"typ": "at+jwt"}), "token_type_refused"),
        (rig.forge.signed(rig.forge.claims(), {"typ": None}), "token_type_refused"),
        (rig.forge.signed(rig.forge.claims(), {"alg": "RS256", "kid": "rsa"}), "token_algorithm_refused"),
        (rig.good(iat=issued - 40, exp=issued - 10), "token_expired"),
        (rig.good(iat=issued + 20, exp=issued + 40), "token_not_yet_valid"),
        (rig.good(exp=issued + 3000), "token_lifetime_too_long"),
        (rig.good(jti="short"), "token_claims_invalid"),
        (rig.good(cnf=None), "token_unbound"),
        (rig.good(client_id="shop"), "client_denied"),
    ]
    for token, reason in cases:
        answer = call(rig, token)
        assert (answer.reason, answer.deliveries) == (reason, []), reason
    assert call(rig, rig.good(), caller="thief").outcome == (401, "certificate_mismatch")


@on_memory
def test_a_good_token_elsewhere_does_not_verify_the_one_that_we_spend(rig: Rig) -> None:
    """Envoy looked at the token in `Authorization`; what stands in our header nobody signed."""
    good = rig.good(scope=None)
    bearer = [("authorization", f"Bearer {good}")]
    forger = Forge(rig.forge.x5t_s256)
    for forged in (forger.token(), forger.token(jti=b64(bytes(16)), sub="admin"), rig.good()):
        answer = call(rig, forged, headers=bearer, listener="jwt-authn-anywhere")
        assert (answer.outcome, answer.deliveries) == ((401, "verified_payload_missing"), [])


@on_memory
def test_two_tokens_are_none_whichever_envoy_looked_at(rig: Rig) -> None:
    good, forged = rig.good(), Forge(rig.forge.x5t_s256).token()
    for pair in ((good, forged), (forged, good), (good, good)):
        answer = call(rig, None, headers=[("x-ott", token) for token in pair])
        assert (answer.status, answer.deliveries) == (401, []) or answer.outcome == (400, "credential_duplicated")
        assert answer.deliveries == []


def test_the_shipped_configuration_is_valid_as_it_stands(envoy: Path, tmp_path: Path) -> None:
    tls_files(tmp_path, "server")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "jwks.json").write_text(Forge("").jwks, encoding="utf-8")
    assert "eprecat" not in validated(envoy, JWT_AUTHN, tmp_path)


def test_the_shipped_configuration_is_envoy_yaml_and_nothing_else_but_the_filter() -> None:
    usual, verifying = (_tree(path) for path in (SHIPPED, JWT_AUTHN))
    filters = hcm_of(verifying["static_resources"]["listeners"][0])["http_filters"]
    assert filters.pop(0)["name"] == "envoy.filters.http.jwt_authn"
    namespaces = authz_of(verifying["static_resources"]["listeners"][0]).pop("metadata_context_namespaces")
    assert namespaces == ["envoy.filters.http.jwt_authn"]
    assert verifying == usual


def _tree(path: Path) -> Tree:
    tree: Tree = copy.deepcopy(yaml.safe_load(path.read_text(encoding="utf-8")))
    return tree
