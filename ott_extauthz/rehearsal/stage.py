"""What does the Check decide here?  A real Checker, whose clock stands still and whose used-list does as told."""

import dataclasses
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypedDict

from ott_extauthz.authn.access_token import AccessTokenVerifier
from ott_extauthz.authn.cookies import cookie_in
from ott_extauthz.authn.extract import presented_in
from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.authn.one_time_token import OneTimeTokenVerifier
from ott_extauthz.check.attaching import Attaching
from ott_extauthz.check.attempt import Attempt
from ott_extauthz.check.checker import Checker
from ott_extauthz.check.credentials.access_tokens import AccessTokenCredential
from ott_extauthz.check.credentials.certificates import CertificateCredential
from ott_extauthz.check.credentials.combining import Credentials
from ott_extauthz.check.credentials.possession import PROOF_HEADER
from ott_extauthz.check.credentials.tokens import TokenCredential
from ott_extauthz.check.signing_out import LeavingSigned
from ott_extauthz.check.single_use import SingleUse
from ott_extauthz.model.body import NO_BODY, Body
from ott_extauthz.model.decision import AttachedSignature, Decision
from ott_extauthz.model.facts import Facts, Headers, Malformed, Peer
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection, TokenState
from ott_extauthz.model.token import TokenKind
from ott_extauthz.observe.audit import NoAudit
from ott_extauthz.observe.listeners import Listeners
from ott_extauthz.policy.asked import Asked, Outgoing
from ott_extauthz.policy.document import Policy
from ott_extauthz.policy.routes import Asks, CredentialKind, Route
from ott_extauthz.policy.target import canonical_target
from ott_extauthz.ports import (
    AsnLookup,
    FirstUse,
    MintedToken,
    Spend,
    SpendOutcome,
    StoreHealth,
    TokenSourceError,
    TokenWanted,
    Use,
    UsedList,
    UsedListError,
    UsedListFault,
)
from ott_extauthz.rehearsal.cases import Case, PeerCase, RequestCase, Source, Suite, TokenCase
from ott_extauthz.rehearsal.certificates import certificate_naming
from ott_extauthz.rehearsal.stand_ins import KINDS, KeyVerifier, SignatureVerifier, StandIn, audience_of, place_of
from ott_extauthz.rehearsal.tokens import ISSUER, Mint, certificate_named
from ott_extauthz.sections.serving import ClockBounds
from ott_extauthz.stores.memory import MemoryUsedList
from ott_extauthz.wire.decode import MAX_TARGET_CHARACTERS
from ott_extauthz.wire.headers import collected

_BUDGET_SECONDS: Final = 1.0
STAND_IN: Final = "(a fresh token)"
"""What is shown in the place of an attached token."""


@dataclass(frozen=True, slots=True)
class StandingClock:
    """An instant."""

    at_ms: int

    def now_ms(self) -> int:
        """Return the instant."""
        return self.at_ms

    def monotonic(self) -> float:
        """Return zero: no time passes."""
        return 0.0


@dataclass(frozen=True, slots=True)
class ToldUsedList:
    """Answers every use alike."""

    outcome: SpendOutcome | None

    async def start(self) -> None:
        """Do nothing."""

    async def mark_used(self, use: Use, *, timeout: float) -> Spend:  # noqa: ASYNC109 - the port's; no wait here
        """Answer as told, or fail where there is nothing to answer."""
        del timeout
        if self.outcome is None:
            raise UsedListError(UsedListFault.CONNECT, TokenState.UNSPENT, "the case says so")
        is_used = self.outcome is SpendOutcome.ALREADY_USED
        return Spend(self.outcome, FirstUse(use.now_ms, b"") if is_used else None)

    async def health(self) -> StoreHealth:
        """Say that it is none."""
        return StoreHealth(ready=False, detail="a rehearsal's")

    async def close(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class NoMint:
    """Stands where tokens would come from.  It makes none: what it hands out only says that there would be one."""

    state: Source = "ready"

    async def take(self, wanted: TokenWanted) -> MintedToken:
        """Hand out the stand-in, or fail as told."""
        del wanted
        if self.state != "ready":
            raise TokenSourceError("the case says so", is_lasting=self.state == "refused")
        return MintedToken(STAND_IN, 0, 0)


class NoSignature:
    """Stands where requests would be signed; forms and keys are of the server, and no case has them."""

    def sign(self, leaving: LeavingSigned) -> AttachedSignature:
        """Say which key would sign, and sign nothing."""
        return AttachedSignature(key=leaving.signing.key, form="", keyid=None, headers=())


_TOLD: Final = {
    "spent": SpendOutcome.ALREADY_USED,
    "fenced": SpendOutcome.FENCED,
    "clock_disagrees": SpendOutcome.CLOCK_DISAGREES,
    "not_primary": SpendOutcome.NOT_PRIMARY,
    "unsafe": SpendOutcome.UNSAFE,
    "unavailable": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """A decision and how it came about; ``facts`` are as they came, with the token that took part."""

    facts: Facts | Malformed = field(repr=False)
    attempt: Attempt
    decision: Decision
    around: "Surroundings"

    @property
    def presented(self) -> str | None:
        """The credential, as the route takes it; None where there is none, or none was looked for."""
        route = self.attempt.route
        asks = self.attempt.asks or (route.asks if route and route.parts else None)
        if asks is None or isinstance(self.facts, Malformed):
            return None
        if asks.cookie is not None:
            cookie = cookie_in(self.facts.headers, asks.cookie)
            return None if isinstance(cookie, Rejection) else cookie.text
        found = presented_in(self.facts.headers, header=place_of(asks), scheme=asks.scheme)
        return None if isinstance(found, Rejection) else found.text

    @property
    def asked(self) -> Asked | None:
        """What the policy was asked; None where the Check did not come so far."""
        attempt, facts = self.attempt, self.facts
        if attempt.token is None or attempt.target is None or isinstance(facts, Malformed):
            return None
        return Asked(
            facts=facts,
            target=attempt.target,
            token=attempt.token,
            now_ms=attempt.now_ms,
            policy_revision=attempt.policy_revision,
            region=self.around.region,
            clients=attempt.policy.clients,
            asn_of=self.around.asn_of,
        )

    @property
    def outgoing(self) -> Outgoing | None:
        """What an attaching route was asked; None where the Check did not come so far."""
        attempt, facts = self.attempt, self.facts
        if attempt.target is None or isinstance(facts, Malformed):
            return None
        return Outgoing(
            facts=facts,
            target=attempt.target,
            now_ms=attempt.now_ms,
            policy_revision=attempt.policy_revision,
            region=self.around.region,
            asn_of=self.around.asn_of,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What requests are decided under."""

    policy: Policy
    bounds: ClockBounds
    region: str | None = None
    asn_of: AsnLookup | None = None
    tokens: NoMint = NoMint()


def checker_at(at_ms: int, around: Surroundings, used_list: UsedList, trust: Mapping[str, TrustedIssuer]) -> Checker:
    """Return a Checker whose clock stands at ``at_ms`` and who tells nobody."""
    clock, listeners, bounds = StandingClock(at_ms), Listeners(on_broken=_unheard), around.bounds
    count = itertools.count(1)
    return Checker(
        policy=lambda: around.policy,
        credentials=_credentials(trust, bounds),
        single_use=SingleUse(
            used_list=used_list,
            clock=clock,
            observer=listeners,
            exp_leeway_ms=bounds.exp_leeway,
            max_skew_ms=bounds.max_skew,
        ),
        audit=NoAudit(),
        observer=listeners,
        clock=clock,
        entropy=lambda size: next(count).to_bytes(size, "big"),
        region=around.region,
        asn_of=around.asn_of,
        attaching=Attaching(tokens=around.tokens, signatures=NoSignature(), clock=clock),
    )


class _Told(TypedDict):
    """What every verifier of tokens starts from."""

    trust: Mapping[str, TrustedIssuer]
    iat_lead_ms: int
    exp_leeway_ms: int


def _credentials(trust: Mapping[str, TrustedIssuer], bounds: ClockBounds) -> Credentials:
    told: _Told = {"trust": trust, "iat_lead_ms": bounds.iat_lead, "exp_leeway_ms": bounds.exp_leeway}
    one_time, access = OneTimeTokenVerifier(**told), AccessTokenVerifier(**told)
    return Credentials(
        {
            CredentialKind.ONE_TIME_TOKEN: TokenCredential(verify=one_time.verify, unseal=_unsealed),
            CredentialKind.MANDATE: TokenCredential(verify=access.verify_mandate, unseal=_unsealed),
            CredentialKind.ACCESS_TOKEN: AccessTokenCredential(verify=access.verify, unseal=_unsealed),
            CredentialKind.API_KEY: StandIn(verifier=KeyVerifier(**told)),
            CredentialKind.SIGNED_REQUEST: StandIn(verifier=SignatureVerifier(**told)),
            CredentialKind.CERTIFICATE: CertificateCredential(max_skew_ms=bounds.max_skew),
        }
    )


def _unsealed(text: str, _: bool) -> str:  # noqa: FBT001 - as Unseal has it
    """Cases say what is in a token, however it travels."""
    return text


def _unheard(_: str) -> None:
    """Nobody listens, so nothing can break."""


def fresh_used_list(bounds: ClockBounds) -> UsedList:
    """Return a used-list that has always been there, also since the oldest of budgets began, and remembers nothing."""
    return MemoryUsedList(clock=StandingClock(0), iat_lead_ms=bounds.iat_lead)


async def rehearse(case: Case, suite: Suite, policy: Policy) -> Rehearsed:
    """Have one case decided, after the calls that came before it."""
    mint = Mint()
    used_list = _used_list(case, suite.clock)
    issuer = ISSUER if case.token == "none" else case.token.claims.get("iss", ISSUER)
    trust = {issuer: mint.trusted(issuer)} if isinstance(issuer, str) else {}
    region = case.region or suite.region
    around = Surroundings(
        policy=policy, bounds=suite.clock, region=region, asn_of=lambda _: case.peer.asn, tokens=NoMint(case.tokens)
    )
    checker = checker_at(case.at, around, used_list, trust)
    for _ in range(case.earlier):
        await decided(checker, _facts(case, policy, mint), around)
    return await decided(checker, _facts(case, policy, mint), around)


async def decided(checker: Checker, facts: Facts | Malformed, around: Surroundings) -> Rehearsed:
    """Have ``facts`` decided by ``checker``, which was made of ``around``."""
    attempt = checker.begin()
    try:
        decision = await checker.decide(facts, attempt, checker.clock.monotonic() + _BUDGET_SECONDS)
    except Exception as error:  # noqa: BLE001 - the server answers a fault of ours with this refusal, and so do we
        decision = attempt.deny(Rejection(Reason.INTERNAL_ERROR, detail=type(error).__name__))
    return Rehearsed(facts=facts, attempt=attempt, decision=decision, around=around)


def _used_list(case: Case, bounds: ClockBounds) -> UsedList:
    if case.store in _TOLD:
        return ToldUsedList(_TOLD[case.store])
    return fresh_used_list(bounds)


def _facts(case: Case, policy: Policy, mint: Mint) -> Facts | Malformed:
    pairs = _header_pairs(case.request)
    headers = collected(pairs)
    if not isinstance(headers, Reason):
        route = _route(case.request, policy, headers)
        brought = [each for each in (case.token, *case.also) if each != "none"]
        headers = collected([*pairs, *(line for each in brought for line in _credential(route, each, case, mint))])
    request = case.request
    if len(request.path) + len(request.host) > MAX_TARGET_CHARACTERS:
        return Malformed(Reason.REQUEST_MALFORMED)
    if isinstance(headers, Reason):
        return Malformed(headers)
    return Facts(
        method=request.method,
        scheme=request.scheme,
        host=request.host,
        path=request.path,
        headers=headers,
        peer=_peer(case.peer),
        stream_id="1",
        started_at_us=case.at * 1000,
        context_extensions=request.extensions,
        body=_body(request),
    )


def _header_pairs(request: RequestCase) -> list[tuple[str, str | None]]:
    pairs: list[tuple[str, str | None]] = []
    for name, values in request.headers.items():
        # As Envoy hands them on: names in lower case, values as bytes, which are read as latin-1.
        each = [values] if isinstance(values, str) else values or ()
        pairs += [(name.lower(), value.encode().decode("latin-1")) for value in each]
    if request.json_body is not None and not any(name == "content-type" for name, _ in pairs):
        pairs.append(("content-type", "application/json"))
    return pairs


def _credential(route: Route | None, token: TokenCase, case: Case, mint: Mint) -> Iterator[tuple[str, str]]:
    """Yield a credential in its header, the case's or else the route's, and the proof that comes with it."""
    asks = _asked(route, token)
    kind = KINDS.get(asks.credential) if asks else None
    text = mint.token(_standing_for(kind, route, token), case.at, kind or TokenKind.ONE_TIME)
    header = (token.header or (place_of(asks) if asks else "x-ott")).lower()
    if asks and asks.cookie is not None and header == place_of(asks):
        yield header, f"{asks.cookie}={text}"
    else:
        scheme = asks.scheme if asks and header == asks.header else None
        yield header, text if scheme is None else f"{scheme} {text}"
    if token.proof not in (None, "none"):
        yield PROOF_HEADER, mint.proof(token.proof, text, case.request, case.at)


def _asked(route: Route | None, token: TokenCase) -> Asks | None:
    """Return which of the route's credentials the case brings: the one that it names, else the first."""
    parts = [asks for asks in (route.parts if route else ()) if asks.credential in KINDS]
    named = [asks for asks in parts if asks.credential == token.credential]
    return next(iter(named or parts), None)


def _standing_for(kind: TokenKind | None, route: Route | None, token: TokenCase) -> TokenCase:
    """Give a stand-in what every token has and no API key or signature names."""
    if route is None or kind not in (TokenKind.API_KEY, TokenKind.SIGNED_REQUEST):
        return token
    usual = {"aud": audience_of(route), "sub": token.claims.get("client_id", "nobody")}
    return token.model_copy(update={"claims": usual | {k: v for k, v in token.claims.items() if k != "aud"}})


def _route(request: RequestCase, policy: Policy, headers: Headers) -> Route | None:
    target = canonical_target(request.method, request.scheme, request.host, request.path)
    if isinstance(target, Rejection):
        return None
    found = policy.table.match(request.method, target, headers)
    return None if isinstance(found, Rejection) else found


def _peer(case: PeerCase) -> Peer:
    certificate = Reason.CERTIFICATE_MISSING if case.certificate is None else certificate_named(case.certificate)
    der = None if case.certificate is None else certificate_naming(case.principal, tuple(case.dns))
    return Peer(address=case.address, port=case.port, principal=case.principal, certificate=certificate, der=der)


def _body(request: RequestCase) -> Body:
    text = request.body if request.json_body is None else json.dumps(request.json_body)
    if not text or request.buffered == "no":
        return NO_BODY
    whole = Body(text.encode(), is_complete=True)
    if request.buffered == "partial":
        return dataclasses.replace(whole, is_complete=False)
    if request.buffered == "as_text":
        return dataclasses.replace(whole, is_binary_safe=text.isascii() and "!" not in text)
    return whole
