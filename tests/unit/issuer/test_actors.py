"""Who acts: the chain of actors, who may join it, and what is no chain at all."""

from typing import Any

import pytest

from ott_extauthz.authn.fault import ClaimsError
from ott_extauthz.issuer.actors import MOST_ACTORS, actor_of, chain_with, checked_actors, may_act
from ott_extauthz.issuer.certificate import PresentedCertificate
from ott_extauthz.issuer.clients import clients_from
from ott_extauthz.issuer.request import Requester
from ott_extauthz.model.facts import Thumbprint

NAME = "spiffe://bank.example/rgs"
CLIENT = clients_from(
    f"""
clients:
  - client_id: rgs
    authentication: tls_client_auth
    certificate: {{spiffe_id: "{NAME}"}}
    audiences: {{wallet.api: {{scopes: [a]}}}}
""",
    "clients.yaml",
)["rgs"]
CERTIFICATE = PresentedCertificate(
    sha256=Thumbprint(bytes(32)), uris=(NAME,), dns=(), subject_dn="CN=rgs", not_after_ms=1
)
WORKLOAD, PLAIN = Requester(client=CLIENT, certificate=CERTIFICATE), Requester(client=CLIENT)
ISSUER = "https://issuer.bank.example"


def chain(length: int) -> dict[str, Any]:
    found: dict[str, Any] = {"sub": "a-1"}
    for number in range(2, length + 1):
        found = {"sub": f"a-{number}", "act": found}
    return found


def test_an_actor_is_named_as_in_its_own_tokens() -> None:
    assert actor_of(WORKLOAD) == {"sub": NAME, "client_id": "rgs"}
    assert actor_of(PLAIN) == {"sub": "rgs"}


def test_a_chain_grows_at_the_outside_to_its_bound_and_an_actor_never_follows_itself() -> None:
    me = actor_of(WORKLOAD)
    assert chain_with(me, None) == me
    assert chain_with(me, chain(2)) == {**me, "act": chain(2)}
    assert chain_with(me, {**me, "act": chain(3)}) == {**me, "act": chain(3)}
    assert chain_with(me, chain(MOST_ACTORS - 1)) is not None
    assert chain_with(me, chain(MOST_ACTORS)) is None


def test_somebody_with_my_name_and_more_is_not_me() -> None:
    me = actor_of(WORKLOAD)
    other = {**me, "iss": "https://elsewhere.example"}
    assert chain_with(me, other) == {**me, "act": other}


@pytest.mark.parametrize(
    "claim",
    [
        None, "a", [], {}, {"sub": 1}, {"sub": ""}, {"sub": "a" * 513}, {"iss": "x"}, {"sub": "a", "x": {}},
        {"sub": "a", "act": "b"}, {"sub": "a", "act": None}, {"sub": "a", "act": {}},
        chain(MOST_ACTORS + 1), {"sub": "a", **{f"m{n}": "x" for n in range(8)}},
    ],
)  # fmt: skip
def test_what_is_no_chain_is_refused(claim: object) -> None:
    with pytest.raises(ClaimsError, match="act"):
        checked_actors({"act": claim}, "act")


def test_a_chain_of_the_longest_length_is_read() -> None:
    assert checked_actors({"act": chain(MOST_ACTORS)}, "act") == chain(MOST_ACTORS)


@pytest.mark.parametrize(
    ("allowed", "may"),
    [
        (None, True),
        ({"sub": NAME}, True),
        ({"sub": "rgs"}, True),
        ({"client_id": "rgs"}, True),
        ({"sub": NAME, "client_id": "rgs", "iss": ISSUER}, True),
        ({"sub": "spiffe://bank.example/other"}, False),
        ({"sub": NAME, "client_id": "other"}, False),
        ({"sub": NAME, "iss": "https://elsewhere.example"}, False),
        ({"iss": ISSUER}, False),
        ({"sub": [NAME]}, False),
        ({"sub": NAME, "email": "x"}, False),
    ],
)
def test_may_act_is_held_member_by_member(allowed: dict[str, Any] | None, may: bool) -> None:  # noqa: FBT001
    assert may_act(allowed, WORKLOAD, issuer=ISSUER) is may
