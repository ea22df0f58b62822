"""Who tells of requests to the issuer as spans?  Where ``tracing`` is configured, what wraps its steps; else nobody."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from ott_extauthz.bootstrap.issuer_inputs import IssuerInputs
from ott_extauthz.bootstrap.rings import ring_settings
from ott_extauthz.bootstrap.span_outlet import SpanOutlet, after_the_answer, new_outlet
from ott_extauthz.issuer.authentication import Authenticator
from ott_extauthz.issuer.grants import Grant
from ott_extauthz.issuer.possession import Possession
from ott_extauthz.issuer.trail import IssuerTrail
from ott_extauthz.key_backends import AwsKmsRing, VaultRing
from ott_extauthz.observe.issuer_steps import (
    TimedAuthenticator,
    TimedGrant,
    TimedPossession,
    TimedRing,
    TimedTrail,
    TimedUsedList,
)
from ott_extauthz.observe.issuer_tracing import RequestSpans, TimedRequest
from ott_extauthz.observe.log import Logger
from ott_extauthz.observe.sampling import Sampling
from ott_extauthz.ports import Clock, KeyRing, UsedList
from ott_extauthz.settings import Settings


@dataclass(frozen=True, slots=True)
class IssuerTracer:
    """Listens to requests, wraps the steps that they go through, and sends spans."""

    spans: RequestSpans
    outlet: SpanOutlet

    def authenticator(self, authenticator: Authenticator) -> Authenticator:
        """Return the same, timed."""
        return TimedAuthenticator(authenticator, self.spans)

    def possession(self, possession: Possession) -> Possession:
        """Return the same, timed."""
        return TimedPossession(possession, self.spans)

    def grants(self, grants: Mapping[str, Grant]) -> dict[str, Grant]:
        """Return the same, timed."""
        return {name: TimedGrant(grant, self.spans) for name, grant in grants.items()}

    def used_list(self, used_list: UsedList, settings: Settings) -> UsedList:
        """Return the same, timed where it is outside of this process."""
        kind = settings.store.asked
        return used_list if kind is None else TimedUsedList(used_list, kind, self.spans)

    def rings(self, inputs: IssuerInputs) -> Mapping[str, KeyRing]:
        """Return the rings to sign with, timed."""
        settings = ring_settings(inputs.settings)
        return {name: TimedRing(ring, _place(settings[name]), self.spans) for name, ring in inputs.rings.items()}

    def trail(self, trail: IssuerTrail) -> IssuerTrail:
        """Return the same, timed, and listened to."""
        return TimedTrail(trail, self.spans)


def new_issuer_tracer(  # noqa: PLR0913 - what spans are made of, and who is told
    settings: Settings,
    inputs: IssuerInputs,
    *,
    registry: CollectorRegistry,
    logger: Logger,
    clock: Clock,
    on_fault: Callable[[str], None],
) -> IssuerTracer | None:
    """Return what sends the spans of an issuer; None where tracing is off."""
    if settings.tracing is None:
        return None
    from ott_extauthz.observe.issuer_spans import request_spans  # noqa: PLC0415 - loads the SDK

    outlet = new_outlet(
        settings.tracing, inputs.tracing, address=inputs.settings.listen, registry=registry, logger=logger,
        clock=clock, grace=settings.drain.grace / 1000,
    )  # fmt: skip

    def tell(timed: TimedRequest) -> None:
        outlet.put(request_spans(outlet.maker, timed))

    listener = RequestSpans(
        sampling=Sampling(settings.tracing, clock.monotonic),
        monotonic=clock.monotonic,
        entropy=secrets.token_bytes,
        tell=tell,
        later=after_the_answer,
        on_fault=on_fault,
    )
    return IssuerTracer(listener, outlet)


def _place(ring: object) -> str | None:
    """Name where a ring's keys live; None where that is here."""
    return "vault" if isinstance(ring, VaultRing) else "aws_kms" if isinstance(ring, AwsKmsRing) else None
