"""The policy's clients: nobody unknown, no entry that widens another, no role that adds to a token."""

from dataclasses import replace

import pytest

from ott_extauthz.model.facts import Peer, Thumbprint
from ott_extauthz.model.reason import Reason
from ott_extauthz.policy.clients import Caller, Client, ClientList, MayCall
from ott_extauthz.policy.routes import CredentialKind, Route

RGS = "spiffe://bank.example/rgs"
ONE, TWO = Thumbprint(b"1" * 32), Thumbprint(b"2" * 32)


def caller(
    client_id: str = "rgs", *, principal: str = RGS, certificate: Thumbprint | Reason = ONE, host: str = "wallet.api"
) -> Caller:
    peer = Peer(address="10.0.0.7", port=1, principal=principal, certificate=certificate)
    return Caller(client_id=client_id, peer=peer, host=host)


def route(name: str = "debit", *, scopes: tuple[str, ...] = (), roles: tuple[str, ...] = ()) -> Route:
    return Route(
        name=name, credential=CredentialKind.ONE_TIME_TOKEN, audience="wallet.api",
        scopes=frozenset(scopes), roles=frozenset(roles),
    )  # fmt: skip


def fault(*clients: Client, by: Caller | None = None, on: Route | None = None) -> Reason | None:
    return ClientList(clients).fault(on or route(), by or caller())


def test_an_empty_list_knows_nobody() -> None:
    assert fault() is Reason.CLIENT_DENIED


@pytest.mark.parametrize(
    ("client", "stranger"),
    [
        (Client(client_id="rgs"), caller("other")),
        (Client(spiffe_id=RGS), caller(principal="spiffe://bank.example/other")),
        (Client(spiffe_id=RGS), caller(principal="")),
        (Client(certificates=frozenset({ONE})), caller(certificate=TWO)),
        (Client(certificates=frozenset({ONE})), caller(certificate=Reason.CERTIFICATE_MISSING)),
        (Client(client_id="rgs", spiffe_id=RGS), caller(principal="spiffe://bank.example/other")),
        (Client(client_id="rgs", spiffe_id=RGS), caller("other")),
        (Client(client_id="rgs", certificates=frozenset({ONE})), caller(certificate=TWO)),
        (Client(spiffe_id=RGS, certificates=frozenset({ONE})), caller(certificate=TWO)),
    ],
)
def test_a_caller_is_known_only_when_all_that_the_entry_names_holds(client: Client, stranger: Caller) -> None:
    assert fault(client) is None
    assert fault(client, by=stranger) is Reason.CLIENT_DENIED


def test_a_fault_in_reading_the_certificate_is_not_taken_for_a_client_of_that_name() -> None:
    """The reason is a text, and a client id may be the same text."""
    client = Client(client_id="certificate_missing")
    assert fault(client, by=caller(certificate=Reason.CERTIFICATE_MISSING)) is Reason.CLIENT_DENIED


def test_a_client_id_is_not_taken_for_a_spiffe_id_nor_the_other_way() -> None:
    assert fault(Client(client_id=RGS), by=caller("other")) is Reason.CLIENT_DENIED
    assert fault(Client(spiffe_id=RGS), by=caller(RGS, principal="x")) is Reason.CLIENT_DENIED


def test_any_of_several_certificates_will_do_while_they_rotate() -> None:
    client = Client(certificates=frozenset({ONE, TWO}))
    assert fault(client, by=caller(certificate=TWO)) is None


def test_one_entry_more_never_widens() -> None:
    wide = Client(client_id="rgs")
    narrow = Client(spiffe_id=RGS, may_call=MayCall(routes=frozenset({"read"})))
    for clients in ((wide, narrow), (narrow, wide)):
        assert fault(*clients) is Reason.MAY_CALL_DENIED
        assert fault(*clients, on=route("read")) is None
        assert fault(*clients, by=caller(principal="")) is None


@pytest.mark.parametrize(
    ("may_call", "is_allowed"),
    [
        (MayCall(), True),
        (MayCall(routes=frozenset({"debit"})), True),
        (MayCall(routes=frozenset({"read"})), False),
        (MayCall(routes=frozenset()), False),
        (MayCall(audiences=frozenset({"wallet.api"})), True),
        (MayCall(audiences=frozenset({"ledger.api"})), False),
        (MayCall(hosts=frozenset({"wallet.api"})), True),
        (MayCall(hosts=frozenset({"*.api"})), True),
        (MayCall(hosts=frozenset({"*.wallet.api"})), False),
        (MayCall(hosts=frozenset({"wallet.api:8443"})), False),
        (MayCall(hosts=frozenset({"*.api:8443"})), False),
        (MayCall(hosts=frozenset()), False),
        (MayCall(routes=frozenset({"debit"}), hosts=frozenset({"ledger.api"})), False),
        (MayCall(routes=frozenset({"read"}), hosts=frozenset({"wallet.api"})), False),
    ],
)
def test_may_call_must_have_the_call_in_all_that_it_names(may_call: MayCall, *, is_allowed: bool) -> None:
    expected = None if is_allowed else Reason.MAY_CALL_DENIED
    assert fault(Client(client_id="rgs", may_call=may_call)) is expected


def test_a_scope_that_no_role_grants_is_refused_whatever_the_token_says() -> None:
    client = Client(client_id="rgs", roles=frozenset({"reader"}), scopes=frozenset({"wallet:read"}))
    assert fault(client, on=route(scopes=("wallet:read",))) is None
    assert fault(client, on=route(scopes=("wallet:read", "wallet:debit"))) is Reason.ROLE_MISSING
    assert fault(client, on=route()) is None


def test_a_client_without_roles_has_no_scope_where_the_policy_has_roles() -> None:
    assert fault(Client(client_id="rgs", scopes=frozenset()), on=route(scopes=("a",))) is Reason.ROLE_MISSING
    assert fault(Client(client_id="rgs", scopes=None), on=route(scopes=("a",))) is None


def test_all_roles_of_a_route_are_asked_for() -> None:
    client = Client(client_id="rgs", roles=frozenset({"a"}), scopes=frozenset({"x"}))
    assert fault(client, on=route(roles=("a",))) is None
    assert fault(client, on=route(roles=("a", "b"))) is Reason.ROLE_MISSING


def test_a_client_known_by_nothing_would_be_everybody() -> None:
    with pytest.raises(ValueError, match="named by something"):
        ClientList([Client()])
    with pytest.raises(ValueError, match="named by something"):
        ClientList([Client(certificates=frozenset())])


def test_a_workload_that_is_not_proven_is_no_client() -> None:
    known = Client(spiffe_id="spiffe://bank.example/rgs")
    by = caller()
    assert fault(known, by=by) is None
    assert fault(known, by=replace(by, peer=replace(by.peer, is_proven=False))) is Reason.CLIENT_DENIED
