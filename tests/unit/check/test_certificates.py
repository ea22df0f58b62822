"""Routes that ask for nothing but a certificate: who gets in, and who tries to."""

from datetime import UTC, datetime, timedelta

import pytest

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.check.credentials.certificates import CertificateCredential
from ott_extauthz.model.decision import Allow, Deny
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.token import TokenKind
from ott_extauthz.policy.routes import CredentialKind
from tests.fakes.certificates import Authority, Leaf
from tests.fakes.desk import Desk
from tests.fakes.issuer import NOW_MS

PKI = Authority()
RGS = "spiffe://bank.example/rgs"
CALLER = PKI.leaf("rgs", uris=(RGS,))
NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)
DENIED = Reason.CERTIFICATE_DENIED


def policy_of(rule: str) -> str:
    return f"""
revision: "r1"
routes:
  - name: report
    match: {{hosts: [wallet.api], methods: [GET], path: /report}}
    credential: certificate
    certificate: {rule}
"""


def desk_of(rule: str, *, proves: bool | None = None) -> Desk:
    judge = None if proves is None else lambda _: proves
    credential = CertificateCredential(max_skew_ms=500, proves=judge)
    return Desk(policy=policy_of(rule), more={CredentialKind.CERTIFICATE: credential})


async def asked(desk: Desk, caller: Leaf, *, is_whole: bool = True, principal: str = RGS) -> Allow | Reason:
    decision = await desk.ask(
        desk.facts(
            method="GET",
            path="/report",
            certificate=Thumbprint(caller.sha256),
            principal=principal,
            der=caller.der if is_whole else None,
        )
    )
    assert isinstance(decision, Allow | Deny)
    return decision if isinstance(decision, Allow) else decision.reason


async def test_a_listed_workload_comes_in_as_itself_as_often_as_it_likes() -> None:
    desk = desk_of(f'{{spiffe_ids: ["{RGS}"]}}')
    await desk.used_list.close()  # nothing is asked of it
    for _ in range(2):
        decision = await asked(desk, CALLER)
        assert isinstance(decision, Allow)
        assert decision.spent is not None
        token = decision.spent.token
        assert (token.kind, token.subject, token.client_id) == (TokenKind.CERTIFICATE, RGS, RGS)
        assert not token.is_for_one_use


async def test_a_listed_certificate_without_spiffe_id_is_known_by_its_thumbprint() -> None:
    caller = PKI.leaf("partner")
    desk = desk_of(f'{{sha256: ["{caller.sha256.hex()}"]}}')
    for is_whole in (True, False):
        decision = await asked(desk, caller, is_whole=is_whole)
        assert isinstance(decision, Allow)
        assert decision.spent is not None
        assert decision.spent.token.subject == f"x5t#S256:{encoded(caller.sha256)}"
    assert await asked(desk, PKI.leaf("partner")) is DENIED, "the same name, another certificate"


async def test_a_listed_dns_name_is_enough_however_it_is_spelled() -> None:
    desk = desk_of("{dns: [rgs.bank.example]}")
    for name in ("rgs.bank.example", "RGS.Bank.Example"):
        assert isinstance(await asked(desk, PKI.leaf(dns=(name,))), Allow)


@pytest.mark.parametrize(
    "uris",
    [
        ("spiffe://bank.example.evil.example/rgs",),
        ("spiffe://evil.example/bank.example/rgs",),
        ("spiffe://bank-example/rgs",),
        ("spiffe://bank.example./rgs",),
        ("spiffe://bank.example/rgs/",),
        ("spiffe://bank.example/rgs/admin",),
        ("spiffe://bank.example/RGS",),
        ("spiffe://BANK.example/rgs",),
        ("spiffe://bank.example/*",),
        ("spiffe://bank.example/rgs\0",),
        ("spiffe://bank.example/rgs", "spiffe://evil.example/rgs"),
        ("spiffe://evil.example/rgs", "spiffe://bank.example/rgs"),
        ("spiffe://bank.example/x/../rgs",),
        (),
    ],
    ids=repr,
)
async def test_a_lookalike_of_a_listed_workload_is_denied(uris: tuple[str, ...]) -> None:
    """Envoy's word (``principal``) says the victim throughout: only the certificate's own names count."""
    assert await asked(desk_of(f'{{spiffe_ids: ["{RGS}"]}}'), PKI.leaf(RGS, uris=uris, organisation=RGS)) is DENIED


@pytest.mark.parametrize(
    ("dns", "ips"),
    [
        (("*.bank.example",), ()),
        (("rgs.bank.example.",), ()),
        (("rgs.bank.example.evil.example",), ()),
        (("rgs.bank.example\0.evil.example",), ()),
        (("rgs.bank.example\0",), ()),
        (("xrgs.bank.example",), ()),
        ((), ("10.0.0.1",)),
        ((), ()),
    ],
    ids=repr,
)
async def test_a_lookalike_of_a_listed_dns_name_is_denied(dns: tuple[str, ...], ips: tuple[str, ...]) -> None:
    caller = PKI.leaf("rgs.bank.example", uris=("https://rgs.bank.example",), dns=dns, ips=ips)
    assert await asked(desk_of("{dns: [rgs.bank.example]}"), caller) is DENIED


async def test_an_address_in_the_list_of_names_matches_no_address() -> None:
    assert await asked(desk_of('{dns: ["10.0.0.1"]}'), PKI.leaf(ips=("10.0.0.1",))) is DENIED


async def test_a_certificate_known_by_its_hash_alone_has_no_names() -> None:
    """XFCC without ``Cert``: what a proxy writes of names is not looked at, whatever the connection's principal is."""
    desk = desk_of(f'{{spiffe_ids: ["{RGS}"], dns: [rgs.bank.example]}}')
    assert await asked(desk, CALLER, is_whole=False) is DENIED
    [record] = desk.audit.records
    assert isinstance(record.decision, Deny)
    assert record.decision.detail is not None
    assert "without its names" in record.decision.detail


@pytest.mark.parametrize(
    "fault",
    [
        Reason.CERTIFICATE_MISSING,
        Reason.CERTIFICATE_MALFORMED,
        Reason.CERTIFICATE_HEADER_MALFORMED,
        Reason.CERTIFICATE_HOP_UNTRUSTED,
        Reason.CERTIFICATE_CONFLICT,
    ],
)
async def test_a_fault_in_finding_the_certificate_is_the_refusal(fault: Reason) -> None:
    desk = desk_of(f'{{spiffe_ids: ["{RGS}"]}}')
    decision = await desk.ask(desk.facts(method="GET", path="/report", certificate=fault, der=CALLER.der))
    assert isinstance(decision, Deny)
    assert (decision.reason, decision.status) == (fault, 401)
    assert [str(challenge) for challenge in decision.challenges] == ['MutualTLS realm="report", error="invalid_token"']


async def test_a_connection_that_outlives_its_certificate_is_refused() -> None:
    caller = PKI.leaf(uris=(RGS,), not_after=NOW + timedelta(seconds=60))
    for rule in (f'{{spiffe_ids: ["{RGS}"]}}', f'{{sha256: ["{caller.sha256.hex()}"]}}'):
        desk = desk_of(rule)
        assert isinstance(await asked(desk, caller), Allow)
        desk.clock.advance(60_000)
        assert await asked(desk, caller) is Reason.CERTIFICATE_EXPIRED


async def test_a_certificate_of_tomorrow_is_refused_but_for_the_clocks() -> None:
    rule = f'{{spiffe_ids: ["{RGS}"]}}'
    tomorrow = PKI.leaf(uris=(RGS,), not_before=NOW + timedelta(days=1))
    assert await asked(desk_of(rule), tomorrow) is Reason.CERTIFICATE_EXPIRED
    # The desk's clock stands two seconds past NOW.
    a_second_ahead = PKI.leaf(uris=(RGS,), not_before=NOW + timedelta(seconds=3))
    assert await asked(desk_of(rule), a_second_ahead) is Reason.CERTIFICATE_EXPIRED
    lenient = CertificateCredential(max_skew_ms=1000)
    desk = Desk(policy=policy_of(rule), more={CredentialKind.CERTIFICATE: lenient})
    assert isinstance(await asked(desk, a_second_ahead), Allow)


async def test_a_certificate_that_only_openssl_could_read_is_refused() -> None:
    desk = desk_of(f'{{sha256: ["{CALLER.sha256.hex()}"]}}')
    facts = desk.facts(method="GET", path="/report", certificate=Thumbprint(CALLER.sha256), der=CALLER.der[:-1])
    decision = await desk.ask(facts)
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.CERTIFICATE_MALFORMED


async def test_with_trust_domains_a_claimed_workload_must_be_proven() -> None:
    for rule in (f'{{spiffe_ids: ["{RGS}"]}}', f'{{sha256: ["{CALLER.sha256.hex()}"]}}'):
        assert isinstance(await asked(desk_of(rule, proves=True), CALLER), Allow)
        assert await asked(desk_of(rule, proves=False), CALLER) is Reason.TRUST_DOMAIN_UNPROVEN


async def test_with_trust_domains_two_names_of_workloads_are_none_that_is_proven() -> None:
    twofold = PKI.leaf(uris=(RGS, "spiffe://partner.example/x"))
    rule = f'{{sha256: ["{twofold.sha256.hex()}"]}}'
    assert await asked(desk_of(rule, proves=False), twofold) is Reason.TRUST_DOMAIN_UNPROVEN
    assert isinstance(await asked(desk_of(rule), twofold), Allow), "by its thumbprint, and without a name"


async def test_with_trust_domains_a_dns_name_belongs_to_nobody() -> None:
    """Any authority of Envoy's combined bundle could sign it, the partner's too."""
    rule = "{dns: [rgs.bank.example]}"
    assert await asked(desk_of(rule, proves=True), PKI.leaf(dns=("rgs.bank.example",))) is DENIED
    both = PKI.leaf(uris=("spiffe://partner.example/x",), dns=("rgs.bank.example",))
    assert await asked(desk_of(rule, proves=True), both) is DENIED


async def test_the_credential_is_there_when_a_certificate_is() -> None:
    desk = desk_of(f'{{spiffe_ids: ["{RGS}"]}}')
    credential = CertificateCredential(max_skew_ms=500)
    asks = desk.policy.table.routes[0].asks
    assert credential.is_presented(asks, desk.facts())
    assert not credential.is_presented(asks, desk.facts(certificate=Reason.CERTIFICATE_MISSING))
