"""Which clients a metric may name: those of our own files, as they are now."""

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from ott_extauthz.authn.api_keys import api_keys_of
from ott_extauthz.authn.partners import Partner, SignatureForm
from ott_extauthz.bootstrap.known_clients import KnownClients, clients_named
from ott_extauthz.policy.document import Policy, policy_from
from tests.fakes.api_keys import kept, made
from tests.fakes.desk import POLICY

if TYPE_CHECKING:
    from ott_extauthz.bootstrap.reloading import Sources

CLIENTS = (
    POLICY
    + """clients:
  - {client_id: erp}
  - {spiffe_id: "spiffe://bank.example/nobody-by-name"}
"""
)


def _policy(text: str) -> Policy:
    return policy_from(text, "policy.yaml")


def test_clients_of_routes_of_the_policy_of_partners_and_of_api_keys_are_known() -> None:
    partners = {"psp": Partner(name="psp", client_id="psp-client", form=SignatureForm.HMAC, keys=())}
    keys = api_keys_of([kept(made(), client_id="keyed")])
    assert clients_named(_policy(CLIENTS), partners, keys) == {"rgs", "erp", "psp-client", "keyed"}


def test_a_new_policy_has_its_own() -> None:
    in_force = [_policy(POLICY)]
    sources = SimpleNamespace(policy=SimpleNamespace(current=lambda: in_force[0]), partners=None, api_keys=None)
    known = KnownClients(cast("Sources", sources))
    first = known()
    assert first == {"rgs"}
    assert known() is first, "nothing is put together anew on every Check"
    in_force[0] = _policy(CLIENTS)
    assert known() == {"rgs", "erp"}
