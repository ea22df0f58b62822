"""Where do tokens and signatures of attaching routes come from?  What ``attach`` names; tokens are behind a pool."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ott_extauthz.authn.outgoing.signing_keys import SigningKey
from ott_extauthz.bootstrap.client_set import read_client_list
from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.bootstrap.rings import keep_running, ring_problems, rings_from
from ott_extauthz.bootstrap.sealing import sealer_from
from ott_extauthz.bootstrap.secret_files import readable_by_others
from ott_extauthz.bootstrap.signing_keys import read_signing_keys
from ott_extauthz.client.identity import Identity, IdentityError, IdentityFiles
from ott_extauthz.client.issuer import GrpcTokenSource
from ott_extauthz.client.pool import TokenPool
from ott_extauthz.documents.problems import Problem
from ott_extauthz.issuer.client import Client
from ott_extauthz.issuer.local_tokens import LocalTokens, Workload
from ott_extauthz.issuer.minter import Minter
from ott_extauthz.issuer.sealing import Sealer
from ott_extauthz.observe.issuer_log import IssuerLog
from ott_extauthz.observe.log import new_logger
from ott_extauthz.policy.document import Policy
from ott_extauthz.policy.routes import CredentialKind
from ott_extauthz.ports import Clock, Entropy, KeyRing, MintedToken, TokenSource, TokenWanted
from ott_extauthz.sections.attach import Attach, AttachIssuer
from ott_extauthz.sections.issuer import Issuer
from ott_extauthz.settings import Settings
from ott_extauthz.wire.own_certificate import SETTLE_SECONDS, OwnCertificate, OwnCertificateError, read_certificate

LOOK_SECONDS: Final = 0.1
_VERIFIED: Final = frozenset({CredentialKind.ONE_TIME_TOKEN, CredentialKind.MANDATE, CredentialKind.ACCESS_TOKEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnKeys:
    """What minting here starts from."""

    client: Client
    rings: Mapping[str, KeyRing]
    sealer: Sealer


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledFiles(IdentityFiles):
    """Files that count as they were until they have been the same for a while; Envoy must have them first."""

    clock: Clock
    _in_force: list[Identity] = field(default_factory=list, repr=False)
    _seen: list[tuple[Identity, float]] = field(default_factory=list, repr=False)

    def read(self) -> Identity:
        """Return the last state that has settled.

        Raises:
            IdentityError: the files cannot be used, and never could.
        """
        try:
            found = IdentityFiles.read(self)
        except IdentityError:
            if not self._in_force:
                raise
            return self._in_force[0]
        now = self.clock.monotonic()
        if not self._in_force:
            self._in_force[:] = [found]
        if not self._seen or self._seen[0][0] != found:
            self._seen[:] = [(found, now)]
        if now - self._seen[0][1] >= SETTLE_SECONDS:
            self._in_force[:] = [found]
        return self._in_force[0]


class WorkloadTokens:
    """Hands out the workload's tokens; those of a certificate that was replaced are forgotten."""

    def __init__(
        self,
        source: TokenSource,
        certificate: OwnCertificate | None,
        clock: Clock,
        *,
        rings: Sequence[KeyRing] = (),
    ) -> None:
        self._pool = TokenPool(source, clock)
        self._certificate = certificate
        self._issuer = source if isinstance(source, GrpcTokenSource) else None
        self._following: asyncio.Task[None] | None = None
        self._rings = rings
        self._turning: list[asyncio.Task[None]] = []

    async def take(self, wanted: TokenWanted) -> MintedToken:
        """Return a token that nobody was given before.

        Raises:
            TokenSourceError: there is none.
        """
        return await self._pool.take(wanted)

    def start(self, *, on_fault: Callable[[str], None]) -> None:
        """Follow the certificate, also while nobody takes: an idle workload's next call should find it settled."""
        self._turning = [asyncio.create_task(keep_running(ring, on_fault=on_fault)) for ring in self._rings]
        if self._issuer is not None:
            self._issuer.on_rotated = self._pool.discard
            self._following = asyncio.create_task(self._issuer.follow(every=LOOK_SECONDS), name="ott certificate files")
        elif self._certificate is not None:
            self._following = asyncio.create_task(self._follow(self._certificate), name="ott certificate file")

    async def aclose(self) -> None:
        """Forget every token, and leave the issuer."""
        tasks = [*self._turning, *([self._following] if self._following is not None else ())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._pool.aclose()
        if self._issuer is not None:
            await self._issuer.aclose()

    async def _follow(self, certificate: OwnCertificate) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if certificate.has_changed():
                self._pool.discard()


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachInputs:
    """What ``attach`` names, read and judged."""

    settings: Attach
    own: OwnKeys | None = field(default=None, repr=False)
    signing_keys: Mapping[str, SigningKey] = field(default_factory=dict, repr=False)


def attach_inputs(
    settings: Settings, policy: Policy | None, source: str, problems: list[Problem], *, is_offline: bool = False
) -> AttachInputs | None:
    """Read what attaching starts from; what keeps it from starting is added to ``problems``.

    ``is_offline``: nobody is asked, no private key of a ring is read, and so there are no rings.
    """
    attach = settings.attach
    attaching = _attaching_tokens(policy)
    if attaching and (attach is None or not attach.has_tokens):
        message = f"required: the route {attaching[0]} attaches tokens, and there is nowhere to get them from"
        problems.append(Problem(source, 0, 0, "attach" if attach is None else "attach.issuer", message))
    if attach is None:
        return None
    before = len(problems)
    problems += _certificate_problems(attach)
    own = _own_keys(attach.client_id, settings, source, problems, is_offline=is_offline)
    keys = read_signing_keys(attach.signing_keys, problems)
    return None if len(problems) > before else AttachInputs(settings=attach, own=own, signing_keys=keys)


def asks_for_tokens(policy: Policy | None) -> bool:
    """Whether some route would verify a token, or nobody knows."""
    return policy is None or any(asks.credential in _VERIFIED for route in policy.table.routes for asks in route.parts)


def new_tokens(
    inputs: AttachInputs | None, issuer: Issuer | None, *, clock: Clock, entropy: Entropy
) -> WorkloadTokens | None:
    """Return the workload's tokens, None where it has no source of them; nothing is minted or asked yet."""
    if inputs is None or not inputs.settings.has_tokens:
        return None
    attach = inputs.settings
    if attach.issuer is not None:
        asked = attach.issuer
        files = SettledFiles(certificate=asked.certificate, key=asked.key, ca=asked.ca, clock=clock)
        source: TokenSource = GrpcTokenSource(
            asked.address, files, server_name=asked.name, workload_bound=asked.binding == "workload"
        )
        return WorkloadTokens(source, None, clock)
    certificate = None if attach.certificate is None else OwnCertificate(attach.certificate, clock)
    if inputs.own is None or issuer is None:
        raise ValueError("attach.client_id without keys of our own")
    source = LocalTokens(
        minter=Minter(
            issuer=issuer.url, rings=inputs.own.rings, clock=clock, entropy=entropy, seal=inputs.own.sealer.seal
        ),
        client=inputs.own.client,
        workload=_workload(attach, certificate, inputs.own.client.client_id),
        lifetime_ms=issuer.lifetime,
        clock=clock,
    )
    return WorkloadTokens(source, certificate, clock, rings=tuple(inputs.own.rings.values()))


def _files(asked: AttachIssuer) -> IdentityFiles:
    return IdentityFiles(certificate=asked.certificate, key=asked.key, ca=asked.ca)


def _workload(attach: Attach, certificate: OwnCertificate | None, client_id: str) -> Callable[[], Workload]:
    if certificate is None:
        bound = Workload(subject=attach.spiffe_id or client_id, thumbprint=None)
        return lambda: bound

    def now() -> Workload:
        current = certificate.current
        return Workload(subject=current.spiffe_id or client_id, thumbprint=current.sha256)

    return now


def _attaching_tokens(policy: Policy | None) -> list[str]:
    routes = () if policy is None else policy.table.routes
    return [route.name for route in routes if route.attachment is not None]


def _certificate_problems(attach: Attach) -> list[Problem]:
    problems: list[Problem] = []
    path = attach.certificate
    if attach.issuer is not None:
        path = attach.issuer.certificate
        problems += readable_by_others(attach.issuer.key)
        try:
            _files(attach.issuer).read()
        except IdentityError as error:
            return [*problems, Problem(str(attach.issuer.key), 0, 0, "", str(error))]
    if path is None:
        return problems
    try:
        named = read_certificate(path).spiffe_id
    except OwnCertificateError as error:
        return [*problems, Problem(str(path), 0, 0, "", str(error))]
    if attach.issuer is not None and attach.issuer.binding == "workload" and named is None:
        message = "attach.issuer.binding is workload, and this certificate has no SPIFFE ID to bind to"
        problems.append(Problem(str(path), 0, 0, "", message))
    return problems


def _own_keys(
    client_id: str | None, settings: Settings, source: str, problems: list[Problem], *, is_offline: bool
) -> OwnKeys | None:
    issuer = settings.issuer
    if client_id is None or issuer is None:
        return None
    before = len(problems)
    client = _client(client_id, issuer, source, problems)
    listener = IssuerLog(new_logger(settings.log.level))
    rings: Mapping[str, KeyRing] = {}
    if is_offline:
        problems += ring_problems(issuer, source)
    else:
        rings = rings_from(issuer, clock=SystemClock(), listener=listener, source=source, problems=problems)
    sealer = sealer_from(issuer, problems)
    return None if client is None or len(problems) > before else OwnKeys(client=client, rings=rings, sealer=sealer)


def _client(client_id: str, issuer: Issuer, source: str, problems: list[Problem]) -> Client | None:
    clients = read_client_list(issuer, problems)
    if clients is None:
        return None
    fault = None
    if client_id not in clients:
        fault = "has no such client"
    elif clients[client_id].needs_dpop:
        fault = "has it with dpop: required, and here is no proof"
    if fault is not None:
        problems.append(Problem(source, 0, 0, "attach.client_id", f"{issuer.clients} {fault}"))
    return clients.get(client_id)
