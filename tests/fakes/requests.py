"""CheckRequests as Envoy sends them."""

from collections.abc import Iterable, Mapping

from envoy.config.core.v3.base_pb2 import HeaderValue
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest


def check_request(
    *,
    method: str = "POST",
    host: str = "wallet.api",
    path: str = "/v1/wallets/7/debit",
    headers: Iterable[tuple[str, str | bytes]] = (),
    merged: bool = False,
    certificate: str = "",
    principal: str = "spiffe://bank.example/rgs",
    extensions: Mapping[str, str] | None = None,
) -> CheckRequest:
    """Build one; ``merged`` fills ``headers`` as without ``encode_raw_headers``, else ``header_map``."""
    request = CheckRequest()
    attributes = request.attributes
    attributes.source.address.socket_address.address = "10.0.0.7"
    attributes.source.address.socket_address.port_value = 40000
    attributes.source.principal = principal
    attributes.source.certificate = certificate
    http = attributes.request.http
    http.id, http.method, http.scheme, http.host, http.path = "1283361890", method, "https", host, path
    for name, value in headers:
        if merged:
            text = value if isinstance(value, str) else value.decode("utf-8")
            http.headers[name] = f"{http.headers[name]},{text}" if name in http.headers else text
        else:
            raw = value.encode() if isinstance(value, str) else value
            http.header_map.headers.append(HeaderValue(key=name, raw_value=raw))
    attributes.context_extensions.update(extensions or {})
    return request
