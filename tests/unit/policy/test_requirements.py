"""What a token must grant, and the policy's clients between: through the whole Check, where the order matters."""

import pytest

from ott_extauthz.model.decision import Allow, Deny
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import TokenState
from tests.fakes.desk import Desk

POLICY = """
revision: r1
roles:
  payer: ["wallet:debit"]
  reader: ["wallet:read"]
clients:
  - {client_id: rgs, roles: [payer], may_call: {routes: ["wallet-*"], hosts: [wallet.api]}}
  - {client_id: audit, spiffe_id: "spiffe://bank.example/audit", roles: [reader]}
routes:
  - name: wallet-debit
    match: {methods: [POST], path: "/v1/wallets/{wallet}/debit"}
    credential: one_time_token
    audience: wallet.api
    roles: [payer]
  - name: report
    match: {methods: [GET], path: /report}
    credential: one_time_token
    audience: wallet.api
    scopes: ["wallet:read"]
  - name: wallet-open
    match: {methods: [GET], path: /v1/open}
    credential: one_time_token
    audience: wallet.api
  - name: health
    match: {methods: [GET], path: /healthz}
    credential: public
"""


async def decided(path: str, *, method: str = "GET", host: str = "wallet.api", **claims: object) -> Allow | Deny:
    desk = Desk(policy=POLICY)
    token = desk.token(**claims)
    decision = await desk.ask(desk.facts(("x-ott", token), method=method, path=path, host=host))
    if isinstance(decision, Deny):
        assert decision.token_state is TokenState.UNSPENT
    return decision


@pytest.mark.parametrize(
    ("call", "claims", "reason"),
    [
        ("POST /v1/wallets/7/debit", {}, None),
        ("GET /v1/open", {"scope": "other"}, None),
        ("POST /v1/wallets/7/debit", {"scope": "wallet:read"}, Reason.SCOPE_MISSING),
        ("POST /v1/wallets/7/debit", {"client_id": "stranger"}, Reason.CLIENT_DENIED),
        ("POST /v1/wallets/7/debit", {"client_id": "audit"}, Reason.CLIENT_DENIED),
        ("GET /report", {"scope": "wallet:read"}, Reason.MAY_CALL_DENIED),
    ],
)
async def test_a_role_asks_for_its_scopes_and_never_brings_them(
    call: str, claims: dict[str, str], reason: Reason | None
) -> None:
    method, _, path = call.partition(" ")
    decision = await decided(path, method=method, **claims)
    assert isinstance(decision, Allow) if reason is None else isinstance(decision, Deny) and decision.reason is reason


async def test_a_scope_in_the_token_counts_only_where_a_role_of_the_client_grants_it() -> None:
    """The issuer was talked into a wider scope: the policy's own roles still hold."""
    desk = Desk(policy=POLICY.replace('routes: ["wallet-*"], hosts: [wallet.api]', 'routes: ["*"]'))
    facts = desk.facts(("x-ott", desk.token(scope="wallet:read wallet:debit")), method="GET", path="/report")
    decision = await desk.ask(facts)
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.ROLE_MISSING


async def test_a_client_goes_to_its_hosts_only_though_the_route_is_for_any() -> None:
    decision = await decided("/v1/open", host="other.api")
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.MAY_CALL_DENIED


async def test_a_public_route_asks_nobody_who_they_are() -> None:
    desk = Desk(policy=POLICY)
    facts = desk.facts(method="GET", path="/healthz", certificate=Reason.CERTIFICATE_MISSING)
    assert isinstance(await desk.ask(facts), Allow)


async def test_the_binding_is_judged_before_the_clients_are() -> None:
    """Whoever holds a stolen token does not learn what its client may do."""
    desk = Desk(policy=POLICY)
    thief = desk.facts(("x-ott", desk.token()), method="GET", path="/report", certificate=Thumbprint(b"t" * 32))
    decision = await desk.ask(thief)
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.CERTIFICATE_MISMATCH
