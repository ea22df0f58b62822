"""What does this CheckRequest say?  Protobuf in, Facts or Malformed out; nothing raises, nothing is guessed.

Read from Envoy's own fields: method, host, path, scheme, peer.  Never read: ``x-envoy-*``, ``x-original-uri``,
``x-forwarded-uri`` and their kin (CVE-2023-27487, CVE-2024-45806), ``http.size``, ``x-request-id``.
"""

from collections.abc import Mapping
from typing import Any, Final

from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from google.protobuf.struct_pb2 import Struct, Value

from ott_extauthz.model.body import NO_BODY, UNSEEN_BODY, Body
from ott_extauthz.model.facts import Facts, Headers, Malformed, Peer
from ott_extauthz.model.reason import Reason
from ott_extauthz.wire.headers import headers_from
from ott_extauthz.wire.peer import PeerCertificates

MAX_TARGET_CHARACTERS: Final = 16 * 1024
PARTIAL_BODY_HEADER: Final = "x-envoy-auth-partial-body"
"""Set by Envoy itself on a Check whose body it buffered, and never with an empty body: that one is a client's."""

JWT_AUTHN: Final = "envoy.filters.http.jwt_authn"
"""Where Envoy's `jwt_authn` leaves what it verified, unless a filter of another name does its work."""

MAX_METADATA_BYTES: Final = 64 * 1024
"""What Envoy verified came in headers, of which it takes 60 KiB."""


def request_or_none(raw: bytes) -> CheckRequest | None:
    """Deserialize for gRPC; bytes that are no CheckRequest become None, so that the servicer can refuse by a message.

    Left to gRPC it would be an RPC error, which ``failure_mode_allow`` turns into an allow.
    """
    try:
        return CheckRequest.FromString(raw)
    except Exception:  # noqa: BLE001 - protobuf's DecodeError and whatever its C code may raise mean the same here
        return None


def facts_from(
    request: CheckRequest | None, certificates: PeerCertificates, metadata_namespace: str = JWT_AUTHN
) -> Facts | Malformed:
    """Turn a CheckRequest into facts, or say why it is none; of the metadata this one namespace is read."""
    if request is None or not request.attributes.request.HasField("http"):
        return Malformed(Reason.REQUEST_MALFORMED)
    attributes = request.attributes
    http = attributes.request.http
    if (http.body and http.raw_body) or len(http.path) + len(http.host) > MAX_TARGET_CHARACTERS:
        return Malformed(Reason.REQUEST_MALFORMED)
    headers = headers_from(http)
    if isinstance(headers, Reason):
        return Malformed(headers)
    source = attributes.source
    return Facts(
        method=http.method,
        scheme=http.scheme,
        host=http.host,
        path=http.path,
        headers=headers,
        stream_id=http.id,
        started_at_us=attributes.request.time.ToMicroseconds(),
        peer=_peer(source, headers, certificates),
        context_extensions=dict(attributes.context_extensions),
        body=_body(http, headers),
        metadata=_metadata(attributes, metadata_namespace) if attributes.HasField("metadata_context") else {},
    )


def _body(http: AttributeContext.HttpRequest, headers: Headers) -> Body:
    is_complete = headers.get(PARTIAL_BODY_HEADER) == ("false",)
    if http.raw_body:
        return Body(http.raw_body, is_complete)
    if http.body:
        return Body(http.body.encode(), is_complete, is_binary_safe=http.body.isascii() and "!" not in http.body)
    return UNSEEN_BODY if any(length != "0" for length in headers.get("content-length", ())) else NO_BODY


def _metadata(attributes: AttributeContext, namespace: str) -> Mapping[str, Mapping[str, Any]]:
    """Return what filters left in a namespace; nothing where that is more than could come from a request."""
    found = attributes.metadata_context.filter_metadata
    if namespace not in found or found[namespace].ByteSize() > MAX_METADATA_BYTES:
        return {}
    return {namespace: _members(found[namespace])}


def _members(struct: Struct) -> dict[str, Any]:
    return {name: _plain(value) for name, value in struct.fields.items()}


def _plain(value: Value) -> Any:  # noqa: ANN401 - JSON, in which every number is a float
    text = value.string_value  # most are texts, and asking for the kind costs as much again
    if text:
        return text
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return ""
    if kind == "number_value":
        return value.number_value
    if kind == "struct_value":
        return _members(value.struct_value)
    if kind == "list_value":
        return [_plain(each) for each in value.list_value.values]
    return value.bool_value if kind == "bool_value" else None


def _peer(source: AttributeContext.Peer, headers: Headers, certificates: PeerCertificates) -> Peer:
    address = source.address.socket_address
    certificate = certificates.of(source.certificate, headers, principal=source.principal)
    return Peer(
        address=address.address,
        port=address.port_value,
        principal=source.principal,
        certificate=certificate.thumbprint,
        der=certificate.der,
        is_proven=certificates.believes(source.principal, source.certificate),
    )
