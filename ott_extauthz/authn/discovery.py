"""Where does an issuer say that its keys are (OpenID Connect Discovery 1.0 §4, RFC 8414 §3)?

- The metadata is its own only if its ``issuer`` is the very text that the operator wrote (§4.3, RFC 8414 §3.3).
- What it names is believed within bounds: an https URL on the issuer's own host, or on one that the operator listed.
  A metadata document that anybody could write, on a shared host, must not send us where only we can reach.
"""

import re
from collections.abc import Collection
from enum import StrEnum
from typing import Final

from ott_extauthz.authn.strict_json import NotStrictJsonError, object_from
from ott_extauthz.documents.https_url import HttpsUrl, https_url

MAX_METADATA_BYTES: Final = 65_536
"""Metadata of big providers is about 5 KiB."""

_PARTS: Final = re.compile(r"https://([^/?]+)([^?]*)")
_DEFAULT_PORT: Final = ":443"


class WellKnown(StrEnum):
    """Under which well-known name (RFC 8615) an issuer publishes its metadata."""

    OPENID = "openid-configuration"
    OAUTH = "oauth-authorization-server"


class DiscoveryError(ValueError):
    """The metadata cannot be used; the message quotes nothing of it."""


def metadata_url(issuer: str, name: WellKnown) -> HttpsUrl:
    """Return where an issuer's metadata is.

    Raises:
        ValueError: the issuer is not an https URL without query and fragment.
    """
    found = _PARTS.fullmatch(https_url(issuer))
    if found is None:
        raise ValueError("an issuer that is discovered is an https URL without a query")
    host, path = found[1], found[2].removesuffix("/")
    if name is WellKnown.OPENID:
        return https_url(f"https://{host}{path}/.well-known/{name}")  # appended
    return https_url(f"https://{host}/.well-known/{name}{path}")  # inserted before the path


def jwks_url_from(document: bytes, *, issuer: str, hosts: Collection[str]) -> HttpsUrl:
    """Return where the keys are; ``hosts`` are allowed beside the issuer's own, each with its port unless it is 443.

    Raises:
        DiscoveryError: the metadata is another issuer's, malformed, or leads where it must not.
    """
    if len(document) > MAX_METADATA_BYTES:
        raise DiscoveryError(f"metadata: larger than {MAX_METADATA_BYTES} bytes")
    try:
        metadata = object_from(document)
    except NotStrictJsonError as error:
        raise DiscoveryError(f"metadata: not a JSON object: {error}") from None
    if metadata.get("issuer") != issuer:
        raise DiscoveryError("metadata: its `issuer` is not exactly the one that is configured")
    named = metadata.get("jwks_uri")
    try:
        url = https_url(named if isinstance(named, str) else "")
    except ValueError:
        raise DiscoveryError("metadata: its `jwks_uri` is missing, or not an https URL") from None
    if _host_of(url) not in {_host_of(issuer), *(_canonical(host) for host in hosts)}:
        raise DiscoveryError("metadata: its `jwks_uri` is on another host; where that is meant, list it in jwks_hosts")
    return url


def _host_of(url: str) -> str:
    return _canonical(re.split(r"[/?]", url.removeprefix("https://"), maxsplit=1)[0])


def _canonical(host: str) -> str:
    return host.lower().removesuffix(_DEFAULT_PORT)
