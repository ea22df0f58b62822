"""Which CheckRequest was recorded?  As protobuf's JSON, or as the bytes that went over the wire.

What is wrong with one is told by field names alone: protobuf's own messages repeat values, and one may be a token.
"""

import re
from typing import Final

from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from google.protobuf.json_format import Parse, ParseError

from ott_extauthz.model.facts import Facts, Malformed
from ott_extauthz.sections.server import ClientCertificate
from ott_extauthz.wire.decode import facts_from, request_or_none
from ott_extauthz.wire.peer import PeerCertificates

_NO_JSON: Final = "Failed to load JSON: "
_FIELD: Final = re.compile(r"Failed to parse (\w{1,40}) field: ")
_UNKNOWN: Final = re.compile(r'has no field named "([A-Za-z_]{1,40})"')
_LONGEST: Final = 200


class RecordingError(ValueError):
    """Not a recorded CheckRequest; the message says what is wrong with it."""


def recorded_facts(raw: bytes, certificates: ClientCertificate) -> tuple[Facts | Malformed, int | None]:
    """Return what a recorded CheckRequest says, and when Envoy took it in (milliseconds; None: it does not say).

    Raises:
        RecordingError: the bytes are neither form.
    """
    request = _parsed(raw)
    at_ms = request.attributes.request.time.ToMilliseconds()
    return facts_from(request, PeerCertificates(certificates)), at_ms or None


def _parsed(raw: bytes) -> CheckRequest:
    if raw.lstrip()[:1] == b"{":
        try:
            return Parse(raw.decode(), CheckRequest())
        except (ParseError, UnicodeDecodeError, RecursionError) as error:
            raise RecordingError(f"not a CheckRequest in JSON: {_one_line(error)}") from None
    request = request_or_none(raw)
    if request is None or not request.attributes.request.HasField("http"):
        raise RecordingError("not a CheckRequest: neither JSON nor protobuf with an HTTP request in it")
    return request


def _one_line(error: Exception) -> str:
    text = str(error).partition("\n")[0] if isinstance(error, ParseError) else type(error).__name__
    if text.startswith(_NO_JSON) or not isinstance(error, ParseError):
        return text[:_LONGEST]
    unknown = _UNKNOWN.search(text)
    why = f"no field is named {unknown[1]}" if unknown else "the value does not fit"
    return ": ".join([".".join(_FIELD.findall(text)) or "the message", why])
