"""How is the issuer's gRPC server put together?  From the same clients, keys and rules as its token endpoint."""

from typing import Final

from ott_extauthz.bootstrap.issuer_inputs import IssuerInputs
from ott_extauthz.issuer.desks import CurrentDesks
from ott_extauthz.issuer.observer import IssuerObserver
from ott_extauthz.issuer.tracing import NoTracing, RequestTracing
from ott_extauthz.issuer.trail import IssuerTrail
from ott_extauthz.ports import Clock
from ott_extauthz.sections.server import Tls
from ott_extauthz.wire.issuer_grpc import IssuerService
from ott_extauthz.wire.issuer_grpc_server import IssuerServer

_UNTRACED: Final = NoTracing()


def batch_server(  # noqa: PLR0913 - what it judges by, and who is told
    inputs: IssuerInputs,
    desks: CurrentDesks,
    *,
    clock: Clock,
    observer: IssuerObserver,
    trail: IssuerTrail,
    grace: float,
    tracing: RequestTracing = _UNTRACED,
) -> IssuerServer | None:
    """Return the server, bound and not started; None where `issuer.grpc` is not set.

    Raises:
        ListenError: the address is taken, or a TLS file cannot be used.
    """
    if inputs.settings.grpc is None or inputs.tls is None or inputs.tls.client_ca is None:
        return None
    files = inputs.tls
    return IssuerServer(
        service=IssuerService(desks=desks, clock=clock, observer=observer, trail=trail, tracing=tracing),
        address=inputs.settings.grpc,
        tls=Tls(certificate=files.certificate, key=files.key, client_ca=files.client_ca),
        grace=grace,
    )
