"""Where do spans go, of which calls, and how much may that take?

Spans leave over OTLP/gRPC.  Nothing is read from ``OTEL_…`` variables: this section is the whole configuration.
"""

import re
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator, model_validator

from ott_extauthz.documents.validated import Duration, Model
from ott_extauthz.sections.words import FilePath

_ENDPOINT: Final = re.compile(
    r"(https?)://((?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\]):([0-9]{1,5}))"
)
_LOOPBACK: Final = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\]):[0-9]+")
_MAX_PORT: Final = 65535
_MOST_RESOURCE: Final = 32

ResourceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
ResourceValue = Annotated[str, Field(pattern=r"^[\x20-\x7e]{1,256}$")]


class Tracing(Model):
    """Spans of Checks and of token requests, to one collector over OTLP/gRPC.

    ``endpoint`` is http(s)://host:port; ``ca`` verifies it instead of the system's authorities, ``certificate`` and
    ``key`` are ours, ``headers_file`` has a ``name: value`` a line, sent with every batch.  These files are followed.

    ``parent`` says whose word that a call is traced counts: ``envoy``'s own, which it sends with the Check where it
    traces; the ``request``'s, too, which a client writes; or nobody's (``ignore``).  At the issuer there is only the
    request's.  At most ``followed_per_second``
    calls are traced for it.  Of all others ``ratio`` are.

    ``resource`` are attributes of this deployment.  At most ``queue`` spans wait, and ``batch`` leave together, after
    ``every`` at the latest; a batch that is not taken within ``timeout`` is dropped, and counted.
    """

    endpoint: str
    ca: FilePath | None = None
    certificate: FilePath | None = None
    key: FilePath | None = None
    headers_file: FilePath | None = None
    ratio: Annotated[float, Field(ge=0, le=1)] = 0.0
    parent: Literal["envoy", "request", "ignore"] = "envoy"
    followed_per_second: Annotated[int, Field(ge=1, le=100_000)] = 100
    service_name: Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,128}$")] = "ott-extauthz"
    resource: Annotated[dict[ResourceName, ResourceValue], Field(max_length=_MOST_RESOURCE)] = Field(default={})
    queue: Annotated[int, Field(ge=64, le=65_536)] = 4096
    batch: Annotated[int, Field(ge=1, le=4096)] = 128
    every: Duration = 1000
    timeout: Duration = 5000

    @field_validator("endpoint")
    @classmethod
    def _is_a_collector(cls, value: str) -> str:
        found = _ENDPOINT.fullmatch(value)
        if found is None or not 0 < int(found[3]) <= _MAX_PORT:
            # The value is not repeated: somebody may have put a password in it.
            raise ValueError("a collector is written http://host:port or https://host:port, without user or path")
        return value

    @field_validator("every", "timeout")
    @classmethod
    def _bounded(cls, value: int) -> int:
        if not 10 <= value <= 60_000:  # noqa: PLR2004 - below it is a span a message, above it a trace comes too late
            raise ValueError("between 10ms and 60s")
        return value

    @model_validator(mode="after")
    def _secrets_go_over_tls(self) -> "Tracing":
        if not self.is_tls and (self.ca or self.certificate):
            raise ValueError("ca, certificate and key are for TLS, which an http:// endpoint does not speak")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        if not self.is_tls and self.headers_file and not _LOOPBACK.fullmatch(self.address):
            raise ValueError("headers_file holds secrets: it goes to an https:// endpoint, or to this machine")
        if self.batch > self.queue:
            raise ValueError("batch is at most queue")
        return self

    @property
    def is_tls(self) -> bool:
        """Whether the collector is spoken to over TLS."""
        return self.endpoint.startswith("https://")

    @property
    def address(self) -> str:
        """``host:port`` of the collector."""
        return self.endpoint.partition("://")[2]
