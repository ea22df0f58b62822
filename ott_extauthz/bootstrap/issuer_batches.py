"""How is the issuer's gRPC server put together?  From the same clients, keys and rules as its token endpoint."""

from ott_extauthz.bootstrap.issuer_inputs import IssuerInputs
from ott_extauthz.issuer.batch import BatchDesk
from ott_extauthz.issuer.grants import CLIENT_CREDENTIALS
from ott_extauthz.issuer.observer import IssuerObserver
from ott_extauthz.issuer.token_endpoint import TokenEndpoint
from ott_extauthz.ports import Clock
from ott_extauthz.settings import Tls
from ott_extauthz.wire.issuer_grpc import IssuerService
from ott_extauthz.wire.issuer_grpc_server import IssuerServer


def batch_server(
    inputs: IssuerInputs, endpoint: TokenEndpoint, *, clock: Clock, observer: IssuerObserver, grace: float
) -> IssuerServer | None:
    """Return the server, bound and not started; None where `issuer.grpc` is not set.  It judges as ``endpoint`` does.

    Raises:
        ListenError: the address is taken, or a TLS file cannot be used.
    """
    if inputs.settings.grpc is None or inputs.tls is None or inputs.tls.client_ca is None:
        return None
    desk = BatchDesk(
        clients=inputs.clients,
        authenticator=endpoint.authenticator,
        grant=endpoint.grants[CLIENT_CREDENTIALS],
        minter=endpoint.minter,
        proxies=frozenset(inputs.settings.client_certificate.hop_identities),
    )
    files = inputs.tls
    return IssuerServer(
        service=IssuerService(desk=desk, clock=clock, observer=observer),
        address=inputs.settings.grpc,
        tls=Tls(certificate=files.certificate, key=files.key, client_ca=files.client_ca),
        grace=grace,
    )
