"""Whom do we ask about opaque access tokens, as whom, and for how long does an answer count (RFC 7662)?

- A secret is a file, read anew when it changes; nothing is taken from the environment.
- The members of an answer that nobody can do without are required unless ``may_lack`` names them.
- ``client_secret_post`` is left out: RFC 6749 §2.3.1 does not recommend it, whoever takes it takes Basic too, and a
  secret in a body ends up in the logs of request bodies.
"""

import re
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator, model_validator

from ott_extauthz.documents.https_url import https_url
from ott_extauthz.documents.validated import Duration, Model

AssertionAlgorithm = Literal["EdDSA", "ES256", "RS256", "PS256"]
MayLack = Literal["aud", "iat", "sub", "token_type"]

_File = Annotated[Path, Field(strict=False)]
_Word = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,512}$")]
_LOOPBACK: Final = re.compile(r"http://(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?(?:/[!\"$-\[\]-~]*)?")
_LONGEST_CACHED_MS: Final = 60_000
_LONGEST_TIMEOUT_MS: Final = 10_000
_NEEDED: Final = {
    "client_secret_basic": ("secret_file",),
    "private_key_jwt": ("key", "algorithm"),
    "tls_client_auth": ("certificate", "key"),
}
_OF_ONE_WAY: Final = ("secret_file", "certificate", "key", "algorithm", "kid", "assertion_audience")
_ALSO: Final = {"private_key_jwt": ("kid", "assertion_audience")}


class IntrospectionCache(Model):
    """How long an answer counts, and how many are kept of each sort; ``active: 0s`` asks at each Check.

    A token that its issuer takes back goes on working for ``active`` at most.  ``inactive`` keeps whoever repeats a bad
    token from being the issuer's problem.  No answer counts beyond the token's own ``exp``.
    """

    active: Duration = 10_000
    inactive: Duration = 5000
    entries: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000

    @field_validator("active", "inactive")
    @classmethod
    def _bounded(cls, value: int) -> int:
        if value > _LONGEST_CACHED_MS:
            raise ValueError("at most 60s: for as long, a token that was taken back still works")
        return value


class Introspection(Model):
    """One issuer that is asked about its tokens, and how the answers are read.

    ``issuer`` is its name, as in an answer's ``iss`` and in a route's ``issuers``.  ``endpoint`` is an https URL;
    ``plain_loopback`` takes http:// to this machine, too.  ``ca`` verifies its server, instead of the system's
    authorities.  We are ``client_id``, by ``secret_file``, by ``key`` (PKCS#8; ``algorithm``, and ``kid`` unless it is
    the key's RFC 7638 thumbprint; the assertion is for ``assertion_audience``, which is ``issuer`` unless it is said),
    or by ``certificate`` and ``key``.

    Tokens that are no JWT are its own, where they begin with ``prefix``; with ``always`` so are the JWTs that name it.
    ``audiences`` says how the issuer names an audience of ours where it does not use our name.  ``may_lack`` are
    members that its answers need not have.  ``single_use``: a token is good for one call.  ``timeout`` is what one
    question may take, and ``max_in_flight`` how many may be under way.
    """

    issuer: _Word
    endpoint: str
    plain_loopback: Literal["accept the risk"] | None = None
    ca: _File | None = None
    client_id: _Word
    authentication: Literal["client_secret_basic", "private_key_jwt", "tls_client_auth"]
    secret_file: _File | None = None
    certificate: _File | None = None
    key: _File | None = None
    algorithm: AssertionAlgorithm | None = None
    kid: _Word | None = None
    assertion_audience: _Word | None = None
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._~+/-]{0,64}$")] = ""
    always: bool = False
    audiences: dict[str, Annotated[list[_Word], Field(min_length=1)]] = Field(default={})
    may_lack: list[MayLack] = Field(default=[])
    single_use: bool = False
    cache: IntrospectionCache = IntrospectionCache()
    timeout: Duration = 1000
    max_in_flight: Annotated[int, Field(ge=1, le=1000)] = 32

    @field_validator("timeout")
    @classmethod
    def _timeout_is_bounded(cls, value: int) -> int:
        if not 1 <= value <= _LONGEST_TIMEOUT_MS:
            raise ValueError("between 1ms and 10s")
        return value

    @model_validator(mode="after")
    def _is_asked_in_private(self) -> "Introspection":
        is_plain = _LOOPBACK.fullmatch(self.endpoint) is not None
        if not is_plain:
            https_url(self.endpoint)
        if is_plain and self.plain_loopback is None:
            raise ValueError("endpoint is plain http; on this machine alone, and with plain_loopback: accept the risk")
        if self.plain_loopback and not is_plain:
            raise ValueError("plain_loopback is for an endpoint that is http:// to this machine")
        if is_plain and (self.ca or self.authentication == "tls_client_auth"):
            raise ValueError("ca and tls_client_auth are for TLS, which an http:// endpoint does not speak")
        return self

    @model_validator(mode="after")
    def _one_way_to_say_who_we_are(self) -> "Introspection":
        needed, also = _NEEDED[self.authentication], _ALSO.get(self.authentication, ())
        for name in _OF_ONE_WAY:
            is_there = getattr(self, name) is not None
            if name in needed and not is_there:
                raise ValueError(f"{self.authentication} needs {name}")
            if is_there and name not in (*needed, *also):
                raise ValueError(f"{name} says nothing about {self.authentication}")
        return self

    @model_validator(mode="after")
    def _one_use_is_dated(self) -> "Introspection":
        if self.single_use and "iat" in self.may_lack:
            raise ValueError("single_use needs iat: the used-list vouches only for what is younger than itself")
        return self


def confusable(entries: Sequence[Introspection]) -> bool:
    """Whether some token could be that of two of these: nobody may be shown the token of another."""
    return any(
        one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix)
        for one, other in combinations(entries, 2)
    )
