"""Where do the tokens of attaching routes come from while we serve?  An issuer, or keys of our own, behind a pool."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ott_extauthz.bootstrap.attaching import AttachInputs
from ott_extauthz.bootstrap.rings import keep_running
from ott_extauthz.client.identity import Identity, IdentityError, IdentityFiles
from ott_extauthz.client.issuer import GrpcTokenSource
from ott_extauthz.client.pool import TokenPool
from ott_extauthz.issuer.local_tokens import LocalTokens, Workload
from ott_extauthz.issuer.minter import Minter
from ott_extauthz.ports import Clock, Entropy, KeyRing, MintedToken, TokenSource, TokenWanted
from ott_extauthz.sections.attach import Attach
from ott_extauthz.sections.issuer import Issuer
from ott_extauthz.wire.own_certificate import SETTLE_SECONDS, OwnCertificate

LOOK_SECONDS: Final = 0.1


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


def _workload(attach: Attach, certificate: OwnCertificate | None, client_id: str) -> Callable[[], Workload]:
    if certificate is None:
        bound = Workload(subject=attach.spiffe_id or client_id, thumbprint=None)
        return lambda: bound

    def now() -> Workload:
        current = certificate.current
        return Workload(subject=current.spiffe_id or client_id, thumbprint=current.sha256)

    return now
