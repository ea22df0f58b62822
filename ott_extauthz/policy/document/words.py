"""Which words may a policy use?  The grammar of each kind of value, with the complaint its author will read.

A field is described by the string below it: the JSON Schema shows it, and so do editors.
"""

import re
from collections.abc import Callable, Hashable
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, WithJsonSchema

from ott_extauthz.documents.validated import Model
from ott_extauthz.policy.host import canonical_host
from ott_extauthz.policy.hosts import WILDCARD
from ott_extauthz.policy.template import Template, template_from

T = TypeVar("T", bound=Hashable)


class Rule(Model):
    """A part of the policy: closed and frozen; the strings below its fields describe them."""

    model_config = ConfigDict(use_attribute_docstrings=True)


_METHOD: Final = re.compile(r"[A-Z0-9!#$%&'*+.^_`|~-]{1,64}")
# RFC 6749 §3.3 scope-token.  Audiences and client ids keep to it too: they end up inside quoted header parameters.
_TOKEN: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
# RFC 9110 §5.6.2 token in lower case, without `_`: servers that read `_` as `-` would see another header.
_HEADER: Final = re.compile(r"[a-z0-9!#$%&'*+.^`|~-]{1,64}")
_SCHEME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
# SPIFFE-ID §2: a trust domain and a path without empty, `.` or `..` segments.
_SPIFFE_ID: Final = re.compile(r"spiffe://[a-z0-9._-]+(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]+)+")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DNS_NAME: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_ADDRESS: Final = re.compile(r"\[|[0-9.]+(?::|\Z)")
_TAKEN_HEADERS: Final = re.compile(  # they frame the message, or mean something else to Envoy, to us or to the upstream
    r"x-ott-.*|x-envoy-.*|x-forwarded-.*|client-cert.*|host|connection|content-.*|transfer-encoding|te|upgrade|cookie|dpop"
)


def checked(is_good: Callable[[str], object], complaint: str) -> AfterValidator:
    """Return a validator that says ``complaint`` of a text that is not good."""

    def check(value: str) -> str:
        if not is_good(value):
            raise ValueError(complaint)
        return value

    return AfterValidator(check)


def distinct(values: list[T]) -> list[T]:
    """Refuse a list in which a value stands twice."""
    seen: set[T] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{value!r} stands twice")
        seen.add(value)
    return values


def positive(value: int) -> int:
    """Refuse a duration of nothing."""
    if value <= 0:
        raise ValueError("must be longer than nothing")
    return value


def is_dns_name(name: str) -> bool:
    """Whether it is a DNS name in lower case, in full."""
    return _DNS_NAME.fullmatch(name) is not None


def is_free_header(name: str) -> bool:
    """Whether nobody else gives this header a meaning of its own."""
    return not _TAKEN_HEADERS.fullmatch(name)


def is_header_name(name: str) -> bool:
    """Whether it is a header's name in the one spelling that no server reads as another."""
    return _HEADER.fullmatch(name) is not None


def _host(value: str) -> str:
    name = value.removeprefix(WILDCARD)
    # Under both schemes, or `api:443` would be a rule that matches `http` requests only.
    spellings = {canonical_host(name, scheme) for scheme in ("http", "https")}
    if None in spellings or (name != value and _ADDRESS.match(name)):
        raise ValueError("not a host; write name, name:port, *.suffix, an IPv4 address or [IPv6]")
    if spellings != {name}:
        shortest = value.removesuffix(name) + min(filter(None, spellings), key=len)
        raise ValueError(f"write it as {shortest!r}: lower case, no trailing dot, no default port")
    return value


def _thumbprint(value: Any) -> Any:  # noqa: ANN401 - whatever stood in the file
    """Take what `openssl x509 -fingerprint` prints, too."""
    return value.replace(":", "").lower() if isinstance(value, str) else value


def _template(value: object) -> Template:
    if not isinstance(value, str):
        raise ValueError("a path template is a string")  # noqa: TRY004 - pydantic reports ValueError at its place
    return template_from(value)


_TOKEN_COMPLAINT: Final = "must be visible ASCII without spaces, quotes and backslashes"
_HOST_SCHEMA: Final = {"type": "string", "examples": ["wallet.api", "*.bank.example", "wallet.api:8443"]}
_PATH_SCHEMA: Final = {"type": "string", "examples": ["/v1/wallets/{wallet}/debit", "/files/{path**}"]}

Token = Annotated[str, checked(_TOKEN.fullmatch, _TOKEN_COMPLAINT)]
Name = Annotated[str, checked(_NAME.fullmatch, "a name has 1 to 63 letters, digits, '.', '_', '-'; no mark in front")]
Host = Annotated[str, AfterValidator(_host), WithJsonSchema(_HOST_SCHEMA)]
Method = Annotated[str, checked(_METHOD.fullmatch, "a method is an upper-case token: GET, POST")]
Scheme = Annotated[
    str,
    checked(_SCHEME.fullmatch, "a scheme is a token: Bearer"),
]
CredentialHeader = Annotated[
    str,
    checked(is_header_name, "a header is a lower-case token without '_'; pseudo headers carry no credential"),
    checked(is_free_header, "this header has another meaning and carries no token"),
]
SpiffeId = Annotated[str, checked(_SPIFFE_ID.fullmatch, "written spiffe://trust.domain/path")]
CookieName = Annotated[str, checked(_SCHEME.fullmatch, "a cookie's name is a token (RFC 6265 §4.1.1)")]
Sha256 = Annotated[
    str,
    BeforeValidator(_thumbprint),
    checked(_SHA256.fullmatch, "the SHA-256 of a certificate is 64 hexadecimal digits"),
]
PathTemplate = Annotated[Template, BeforeValidator(_template), WithJsonSchema(_PATH_SCHEMA)]
