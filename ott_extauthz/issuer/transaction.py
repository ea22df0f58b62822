"""What does a transaction token say of its transaction (draft-ietf-oauth-transaction-tokens)?

- ``req_wl`` is the workload that asked for it.
- Both contexts, ``tctx`` and ``rctx``, are the requester's word: JSON objects of bounded size, in which no token
  is hidden.
- A replacement keeps the contexts: they are what must not change along a call chain.
"""

from collections.abc import Mapping
from typing import Any, Final

from ott_extauthz.authn.compact import UnverifiedToken, unverified_from
from ott_extauthz.issuer.oauth_error import OAuthError
from ott_extauthz.issuer.request import Form, invalid_request, value
from ott_extauthz.model.body import Body
from ott_extauthz.model.json_body import json_body

MAX_CONTEXT_BYTES: Final = 2048
_CLAIMS: Final = {"tctx": "request_details", "rctx": "request_context"}


def context_from(form: Form, workload: str, replaced: Mapping[str, Any] | None) -> dict[str, Any] | OAuthError:
    """Return the claims of a transaction token's own; ``replaced`` are those of the one it replaces."""
    context: dict[str, Any] = {}
    for claim, parameter in _CLAIMS.items():
        sent = value(form, parameter)
        if sent is None:
            continue
        if replaced is not None:
            return invalid_request(f"{parameter}: the context of a transaction stays as it is")
        read = _object(sent)
        if read is None:
            return invalid_request(f"{parameter}: a JSON object of at most {MAX_CONTEXT_BYTES} bytes, without a token")
        context[claim] = read
    return {**(replaced or {}), **context, "req_wl": workload}


def _object(text: str) -> dict[str, Any] | None:
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw) > MAX_CONTEXT_BYTES:
        return None
    found = json_body(Body(raw, is_complete=True))
    return found if isinstance(found, dict) and not _has_token(found) else None


def _has_token(found: object) -> bool:
    """Whether somebody who reads the context could go on and use a token out of it."""
    if isinstance(found, str):
        return isinstance(unverified_from(found.strip()), UnverifiedToken)
    if isinstance(found, dict):
        return any(_has_token(name) or _has_token(part) for name, part in found.items())
    return isinstance(found, list) and any(map(_has_token, found))
