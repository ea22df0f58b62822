"""Whose a token is: what speaks for a client as an actor token, and what does not."""

from dataclasses import replace
from typing import Any

import pytest

from ott_extauthz.issuer.clients import clients_from
from ott_extauthz.issuer.oauth_error import OAuthError
from ott_extauthz.issuer.presenting import actor_fault, presenter_fault
from ott_extauthz.issuer.request import Requester
from ott_extauthz.issuer.subject import Subject, subject_from
from ott_extauthz.model.facts import Thumbprint
from tests.exchange_bank import CLIENTS
from tests.fakes.issuer import FakeIssuer

KEY, OTHER_KEY = Thumbprint(b"k" * 32), Thumbprint(b"o" * 32)
JACKPOT = Requester(client=clients_from(CLIENTS, "clients.yaml")["jackpot"], jkt=KEY)
CLAIMS = FakeIssuer().claims(sub="jackpot", client_id="jackpot", cnf=None)
OWN = replace(subject_from(CLAIMS, foreign=None), confirmation={"jkt": KEY})


def test_a_clients_own_token_about_itself_speaks_for_it() -> None:
    assert actor_fault(OWN, JACKPOT) is None


@pytest.mark.parametrize(
    "change",
    [
        {"name": "player:u-1"},
        {"client_id": "wallet"},
        {"client_id": None, "issuer": "https://login.example"},
        {"act": {"sub": "wallet"}},  # the client's name, and another's doing
        {"context": {"req_wl": "jackpot"}},  # a transaction token goes through many hands
        {"confirmation": {"jkt": OTHER_KEY}},
        {"confirmation": {"x5t#S256": KEY}},
        {"confirmation": {"jkt": KEY, "x5t#S256": KEY}},
    ],
)
def test_nothing_else_does(change: dict[str, Any]) -> None:
    assert isinstance(actor_fault(replace(OWN, **change), JACKPOT), OAuthError)


def test_a_token_bound_to_a_dpop_key_is_its_holders() -> None:
    def fault(subject: Subject, jkt: Thumbprint | None) -> OAuthError | None:
        return presenter_fault(subject, replace(JACKPOT, jkt=jkt))

    assert fault(OWN, KEY) is None
    assert isinstance(fault(OWN, OTHER_KEY), OAuthError)
    assert isinstance(fault(OWN, None), OAuthError)
    foreign = replace(OWN, client_id=None, issuer="https://login.example")
    assert fault(foreign, KEY) is None
    assert isinstance(fault(foreign, None), OAuthError)
