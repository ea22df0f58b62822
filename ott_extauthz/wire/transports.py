"""On which gRPC server do we run?  One servicer, two transports.

- ``native``   pygrpc-native: HTTP/2 and gRPC in Rust, outside the GIL; plaintext or a Unix socket; a ninth of the CPU
- ``grpcio``   grpc.aio: the reference; TLS and mTLS, with certificate files that are read anew when they change
"""

import contextlib
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, cast

import grpc
import grpc.aio

from ott_extauthz.reload.bounded import bounded
from ott_extauthz.sections.server import Tls
from ott_extauthz.wire.files import ChangingFiles
from ott_extauthz.wire.listening import ListenError

MAX_MESSAGE_BYTES: Final = 4 << 20
_OPTIONS: Final[list[tuple[str, Any]]] = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),  # two servers on one port would each see half of the checks, unnoticed
]


def new_server(transport: Literal["native", "grpcio"]) -> grpc.aio.Server:
    """Return a server of the chosen transport, nothing registered yet."""
    if transport == "native":
        import pygrpc_native.aio  # noqa: PLC0415 - only the chosen transport is loaded

        return cast("grpc.aio.Server", pygrpc_native.aio.server(options=_OPTIONS))
    return grpc.aio.server(options=_OPTIONS)


def listen(
    server: grpc.aio.Server,
    address: str,
    tls: Tls | None,
    *,
    setting: str = "listen.check",
    tls_setting: str = "listen.tls",
) -> int:
    """Bind ``host:port`` or ``unix:///path`` and return the port, which the system chose where it was 0.

    Raises:
        ListenError: the address is taken, the socket's folder is missing, or a TLS file is unusable.
    """
    grpc_address = address
    if address.startswith("unix://"):
        grpc_address = "unix:" + address.removeprefix("unix://")
        _clear_socket(Path(address.removeprefix("unix://")), setting)
    credentials = _credentials(tls, tls_setting) if tls else None
    try:
        port = (
            server.add_secure_port(grpc_address, credentials) if credentials else server.add_insecure_port(grpc_address)
        )
    except (RuntimeError, OSError) as error:
        raise ListenError(f"{setting}: cannot listen on {address}: {error}") from None
    if port == 0 and not address.startswith("unix://"):
        raise ListenError(f"{setting}: cannot listen on {address}")
    return port


def _clear_socket(path: Path, setting: str) -> None:
    """Remove a socket that a killed process left behind; anything else under that name is not ours to remove."""
    if path.is_socket():
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
    elif path.exists():
        raise ListenError(f"{setting}: {path} exists and is not a socket")


def _credentials(tls: Tls, setting: str) -> grpc.ServerCredentials:
    files = ChangingFiles([path for path in (tls.certificate, tls.key, tls.client_ca) if path])
    try:
        _judge(tls)
        first = _certificates(tls)
    except ssl.SSLError as error:  # an OSError too, but about what is in the files
        raise ListenError(f"{setting}: the files cannot be used together: {error.reason or error}") from None
    except OSError as error:
        raise ListenError(f"{setting}: {error.filename}: {error.strerror}") from None
    # The stubs say the fetcher always returns one; gRPC keeps the last when it is None.
    fetcher = cast("Callable[[], grpc.ServerCertificateConfiguration]", _fetcher(tls, files))
    return grpc.dynamic_ssl_server_credentials(first, fetcher, tls.client_ca is not None)


def _judge(tls: Tls) -> None:
    """Find at start what gRPC would tell by failed handshakes only: a key of another certificate, no PEM."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate, tls.key, password=lambda: b"")
    if tls.client_ca is not None:
        context.load_verify_locations(tls.client_ca)


def _fetcher(tls: Tls, files: ChangingFiles) -> Callable[[], grpc.ServerCertificateConfiguration | None]:
    def fetch() -> grpc.ServerCertificateConfiguration | None:
        """Asked by gRPC at each handshake; None means what we gave last still holds."""
        if not files.have_changed():
            return None
        try:
            return _certificates(tls)
        except OSError:  # a rotation caught between two files: keep the pair that works, look again next time
            files.forget()
            return None

    return fetch


def _certificates(tls: Tls) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(bounded(tls.key), bounded(tls.certificate))],
        root_certificates=bounded(tls.client_ca) if tls.client_ca else None,
    )
