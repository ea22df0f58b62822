"""How does a decision leave?  Two constructors, ``_allowed`` and ``_denied``; there is no third way out.

- Envoy forwards on an empty CheckResponse, and on a denial with a status of 0: neither can be built here.
- One entry per header name; what is set is never also removed (Envoy removes after it sets).
- Every identity header is set or removed on every allow, so that a client's copy never reaches the upstream.
"""

import json
from typing import Final

from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse, DeniedHttpResponse, OkHttpResponse
from envoy.type.v3.http_status_pb2 import HttpStatus
from google.protobuf.struct_pb2 import Struct
from google.rpc.code_pb2 import PERMISSION_DENIED, UNAUTHENTICATED, UNAVAILABLE
from google.rpc.status_pb2 import Status

from ott_extauthz.model.decision import Allow, Attached, AttachedSignature, AttachedToken, Decision, Deny
from ott_extauthz.model.reason import Reason
from ott_extauthz.wire.header_values import identity_value, stripped_value

IDENTITY_HEADERS: Final = (
    "x-ott-subject", "x-ott-client", "x-ott-scope", "x-ott-token-id", "x-ott-txn", "x-ott-actor",
    "x-ott-decision-id", "x-ott-policy-revision",
)  # fmt: skip
CREDENTIAL_HEADER: Final = "x-ott"
REVISION_HEADER: Final = "x-ott-policy-revision"
PROBLEM_TYPE: Final = "urn:ott-extauthz:problem:"
_GRPC_CODES: Final = {401: UNAUTHENTICATED, 503: UNAVAILABLE}
_OK, _MIN_REFUSAL, _MAX_REFUSAL = 200, 400, 599


def response_from(decision: Decision, *, is_grpc: bool, expose_reason: bool) -> CheckResponse:
    """Return Envoy's message for a decision."""
    if isinstance(decision, Allow):
        return _allowed(decision)
    return _denied(decision, is_grpc=is_grpc, expose_reason=expose_reason)


def last_resort() -> CheckResponse:
    """Return the refusal for a fault so deep that there is no decision to encode."""
    return CheckResponse(
        status=Status(code=UNAVAILABLE),
        denied_response=DeniedHttpResponse(status=HttpStatus(code=503), headers=_options({"retry-after": "1"})),
    )


def answer_headers(response: CheckResponse) -> tuple[dict[str, str], set[str]]:
    """Return the headers that a response sets (upstream, or in the refusal), and those that it removes."""
    is_ok = response.HasField("ok_response")
    options = response.ok_response.headers if is_ok else response.denied_response.headers
    return {option.header.key: option.header.value for option in options}, set(response.ok_response.headers_to_remove)


def _allowed(decision: Allow) -> CheckResponse:
    to_set = _identity_headers(decision) if decision.attached is None else _attached_headers(decision.attached)
    to_set |= dict(decision.headers_to_set)
    to_remove = {CREDENTIAL_HEADER, *IDENTITY_HEADERS, *decision.headers_to_remove} - to_set.keys()
    to_remove.difference_update(decision.headers_to_keep)
    return CheckResponse(
        status=Status(code=0),
        ok_response=OkHttpResponse(
            headers=_options(to_set),
            headers_to_remove=sorted(to_remove),
            response_headers_to_add=_options(dict(decision.response_headers)),
        ),
        dynamic_metadata=_metadata(decision, "allowed"),
    )


def _attached_headers(attached: Attached) -> dict[str, str]:
    """Return what is attached and nothing else: who decided what here is not the receiver's business."""
    if isinstance(attached, AttachedSignature):
        return dict(attached.headers)
    return {attached.header: attached.header_value}


def _identity_headers(decision: Allow) -> dict[str, str]:
    headers = {"x-ott-decision-id": decision.decision_id, REVISION_HEADER: decision.policy_revision}
    if decision.spent is not None:
        token = decision.spent.token
        headers["x-ott-subject"] = identity_value(token.subject)
        headers["x-ott-client"] = identity_value(token.client_id)
        headers["x-ott-token-id"] = token.public_id
        if token.scope:
            headers["x-ott-scope"] = " ".join(sorted(token.scope))
        if token.txn is not None:
            headers["x-ott-txn"] = identity_value(token.txn)
        if token.actor is not None:
            headers["x-ott-actor"] = identity_value(token.actor)
    return headers


def _denied(decision: Deny, *, is_grpc: bool, expose_reason: bool) -> CheckResponse:
    status = decision.status
    is_repeat = status == _OK and decision.reason is Reason.EVENT_REPEATED  # the one good answer that stops a request
    if not (_MIN_REFUSAL <= status <= _MAX_REFUSAL or is_repeat):
        raise ValueError(f"a refusal cannot have the HTTP status {status}")
    headers = {"x-ott-decision-id": decision.decision_id}
    if decision.dpop_nonce is not None:
        headers["dpop-nonce"] = decision.dpop_nonce
    if decision.retry_after_seconds is not None:
        headers["retry-after"] = str(decision.retry_after_seconds)
    if expose_reason:
        headers |= {"x-ott-reason": decision.reason, REVISION_HEADER: decision.policy_revision}
    if is_grpc:  # the body becomes grpc-message: short and ASCII
        body = f"{decision.meaning.code} decision_id={decision.decision_id}"
    else:
        headers |= {"content-type": "application/problem+json", "cache-control": "no-store"}
        body = _problem(decision)
    return CheckResponse(
        status=Status(code=_GRPC_CODES.get(status, PERMISSION_DENIED)),
        denied_response=DeniedHttpResponse(
            status=HttpStatus(code=status), headers=[*_options(headers), *_challenges(decision)], body=body
        ),
        dynamic_metadata=_metadata(decision, decision.reason),
    )


def _challenges(decision: Deny) -> list[HeaderValueOption]:
    """Each challenge in a line of its own, which Envoy keeps apart."""
    return [option for each in decision.challenges for option in _options({"www-authenticate": str(each)})]


def _problem(decision: Deny) -> str:
    """RFC 9457; ``code`` is what a client acts on, ``token_state`` whether it must mint anew."""
    code = decision.meaning.code
    members = {
        "type": PROBLEM_TYPE + code.lower().replace("_", "-"),
        "title": code.replace("_", " ").capitalize(),
        "status": decision.status,
        "code": code,
        "decision_id": decision.decision_id,
        "token_state": decision.token_state,
    }
    return json.dumps({name: value for name, value in members.items() if value is not None})


def _options(headers: dict[str, str]) -> list[HeaderValueOption]:
    return [
        HeaderValueOption(header=HeaderValue(key=name, value=stripped_value(value))) for name, value in headers.items()
    ]


def _metadata(decision: Decision, reason: str) -> Struct:
    """What Envoy's access log and later filters may read, under ``envoy.filters.http.ext_authz``."""
    token = decision.spent.token if isinstance(decision, Allow) and decision.spent else None
    token = decision.token if isinstance(decision, Deny) else token
    metadata = Struct()
    fields = metadata.fields
    fields["decision_id"].string_value = decision.decision_id
    fields["reason"].string_value = reason
    fields["policy_revision"].string_value = decision.policy_revision
    if decision.route is not None:
        fields["route"].string_value = decision.route
    if token is not None:
        fields["subject"].string_value = token.subject
        fields["client_id"].string_value = token.client_id
        fields["token_id"].string_value = token.public_id
        if token.actor is not None:
            fields["actor"].string_value = token.actor
    if isinstance(decision, Allow) and decision.attached is not None:
        _add_attached(metadata, decision.attached)
    if isinstance(decision, Allow) and decision.would_be is not None:
        _add_shadow(metadata, decision.would_be)
    return metadata


def _add_attached(metadata: Struct, attached: Attached) -> None:
    fields = metadata.fields
    if isinstance(attached, AttachedToken):
        fields["attached_audience"].string_value = attached.audience
        if attached.certificate is not None:
            fields["attached_certificate"].string_value = attached.certificate
        if attached.public_id is not None:
            fields["token_id"].string_value = attached.public_id
        return
    fields["signing_key"].string_value = attached.key
    fields["signature_form"].string_value = attached.form
    if attached.keyid is not None:
        fields["signature_keyid"].string_value = attached.keyid


def _add_shadow(metadata: Struct, would_be: Decision) -> None:
    fields = metadata.fields
    if isinstance(would_be, Allow):
        fields["shadow_outcome"].string_value = "allow"
        return
    fields["shadow_outcome"].string_value = "deny"
    fields["shadow_reason"].string_value = would_be.reason
    fields["shadow_code"].string_value = would_be.meaning.code
