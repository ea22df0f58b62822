"""A Checker with fakes around it: one desk where a test can ask for decisions."""

from collections.abc import Iterable, Mapping
from functools import partial

from ott_extauthz.authn.access_token import AccessTokenVerifier
from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.one_time_token import OneTimeTokenVerifier
from ott_extauthz.authn.sealed import Unseal, unsealed_without_keys
from ott_extauthz.check.checker import Checker
from ott_extauthz.check.credentials.combining import Credentials
from ott_extauthz.check.credentials.credential import Credential
from ott_extauthz.check.credentials.possession import Possession
from ott_extauthz.check.credentials.tokens import TokenCredential
from ott_extauthz.check.single_use import SingleUse
from ott_extauthz.model.decision import Decision
from ott_extauthz.model.facts import Facts, Peer, Thumbprint
from ott_extauthz.model.reason import Reason
from ott_extauthz.policy.document import policy_from
from ott_extauthz.policy.routes import CredentialKind
from ott_extauthz.ports import UsedList
from ott_extauthz.stores.memory import MemoryUsedList
from tests.fakes.clock import FakeClock
from tests.fakes.issuer import NOW_MS, THUMBPRINT, FakeIssuer
from tests.fakes.observer import RecordingAudit, RecordingObserver

POLICY = """
revision: "r1"
routes:
  - name: wallet-debit
    match: {hosts: [wallet.api], methods: [POST], path: "/v1/wallets/{wallet}/debit"}
    credential: one_time_token
    audience: wallet.api
    clients: [rgs]
    scopes: ["wallet:debit"]
    max_auth_age: 5m
  - name: wallet-read
    match: {hosts: [wallet.api], methods: [GET], path: "/v1/wallets/{wallet}"}
    credential: one_time_token
    audience: wallet.api
    bound_to: [workload]
    from: {header: authorization, scheme: Bearer}
  - name: report
    match: {hosts: [wallet.api], methods: [GET], path: /report}
    credential: one_time_token
    audience: wallet.api
    bound_to: []
    unbound: accept the risk
  - name: health
    match: {methods: [GET], path: /healthz}
    credential: public
"""
CALLER = Thumbprint(THUMBPRINT)
SUBJECT = "spiffe://bank.example/rgs"


class Desk:
    """Everything a Checker needs, within reach of a test."""

    def __init__(
        self,
        used_list: UsedList | None = None,
        *,
        policy: str = POLICY,
        unseal: Unseal = unsealed_without_keys,
        more: Mapping[CredentialKind, Credential] | None = None,
        possession: Possession | None = None,
    ) -> None:
        self.clock = FakeClock(now_ms=NOW_MS)
        self.issuer = FakeIssuer()
        self.observer = RecordingObserver()
        self.audit = RecordingAudit()
        self.policy = policy_from(policy, "policy.yaml")
        self.used_list = used_list or MemoryUsedList(clock=self.clock, iat_lead_ms=500)
        self._count = 0
        self.clock.advance(2000)  # past the fence of a list that was just made
        single_use = SingleUse(
            used_list=self.used_list, clock=self.clock, observer=self.observer,
            exp_leeway_ms=2000, max_skew_ms=500,
        )  # fmt: skip
        trust = {self.issuer.issuer: self.issuer.trusted()}
        self.verifier = verifier = OneTimeTokenVerifier(trust=trust, iat_lead_ms=500, exp_leeway_ms=2000)
        access_tokens = AccessTokenVerifier(trust=trust, iat_lead_ms=500, exp_leeway_ms=2000)
        token = partial(TokenCredential, unseal=unseal, possession=possession or Possession())
        credentials = Credentials(
            {
                CredentialKind.ONE_TIME_TOKEN: token(verify=verifier.verify),
                CredentialKind.MANDATE: token(verify=access_tokens.verify_mandate),
                CredentialKind.ACCESS_TOKEN: token(verify=access_tokens.verify),
                **(more or {}),
            }
        )
        self.checker = Checker(
            policy=lambda: self.policy, credentials=credentials, single_use=single_use,
            audit=self.audit, observer=self.observer, clock=self.clock, entropy=self.entropy,
        )  # fmt: skip

    def entropy(self, count: int) -> bytes:
        """Bytes that never repeat."""
        self._count += 1
        return self._count.to_bytes(count, "big")

    def token(self, **changes: object) -> str:
        """A good token for the debit route, but for the changes."""
        defaults = {"auth_time": self.clock.now_ms() / 1000 - 60, "jti": encoded(self.entropy(16))}
        return self.issuer.token(self.issuer.claims(self.clock.now_ms(), **(defaults | changes)))

    def facts(
        self,
        *headers: tuple[str, str],
        method: str = "POST",
        path: str = "/v1/wallets/7/debit",
        host: str = "wallet.api",
        certificate: Thumbprint | Reason = CALLER,
        principal: str = SUBJECT,
        der: bytes | None = None,
        extensions: Iterable[tuple[str, str]] = (),
        stream_id: str = "1283361890",
    ) -> Facts:
        """A request with these headers."""
        collected: dict[str, tuple[str, ...]] = {}
        for name, value in headers:
            collected[name] = (*collected.get(name, ()), value)
        peer = Peer(address="10.0.0.7", port=40000, principal=principal, certificate=certificate, der=der)
        return Facts(
            method=method, scheme="https", host=host, path=path, headers=collected, peer=peer,
            stream_id=stream_id, started_at_us=1_795_000_000_000_000,
            context_extensions=dict(extensions),
        )  # fmt: skip

    async def ask(self, facts: Facts, *, budget: float = 0.25) -> Decision:
        """Have one request decided, with this many seconds left."""
        return await self.checker.check(facts, deadline=self.clock.monotonic() + budget)
