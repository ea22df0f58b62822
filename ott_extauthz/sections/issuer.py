"""What does the issuer start from?"""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    Field,
    field_validator,
    model_validator,
)

from ott_extauthz.documents.validated import Duration, Model
from ott_extauthz.issuer.order import DEFAULT_RING_TITLE
from ott_extauthz.sections.proofs import Dpop
from ott_extauthz.sections.rings import DefaultRing, KeyRing, RingName, Rotation
from ott_extauthz.sections.server import ClientCertificate, Tls
from ott_extauthz.sections.trusted_issuers import SubjectIssuer
from ott_extauthz.sections.words import Address, FilePath


class FailureLimit(Model):
    """How often a client may fail to authenticate ``within`` a span of time before it is made to wait (429)."""

    failures: Annotated[int, Field(ge=1, le=10_000)] = 20
    within: Duration = 60_000

    @field_validator("within")
    @classmethod
    def _bounded(cls, value: int) -> int:
        if not 1000 <= value <= 3_600_000:  # noqa: PLR2004 - less limits nothing; longer is a lock-out
            raise ValueError("between 1s and 1h")
        return value


class Issuer(Model):
    """The issuer: only for ``issue``, ``keys`` and ``mint``.  ``admin`` serves its /metrics, /healthz and /readyz.

    ``keys`` is the default ring; ``rings`` are further ones by name, for audiences that name them in clients.yaml.
    ``passphrase_file`` holds what private keys are encrypted with.  ``read_only``: others put the key files there (a
    Kubernetes Secret), a group may read them, and they are followed, never written.
    ``client_certificate`` is the trust rule for its own clients; a header counts only from a proxy that shows a
    certificate of ``hop_identities``, or on a Unix socket.  ``plain_loopback`` takes it on loopback without TLS too.
    ``subject_issuers`` are those whose users' tokens may be exchanged; ``trust_domains`` are what a transaction token
    may be for.
    ``grpc`` is where workloads mint by the batch, over mutual TLS with the files of ``tls``; absent: nowhere.
    ``encryption`` names audiences and their JWK Sets: their tokens are encrypted, so that nobody else reads them.
    """

    url: Annotated[str, Field(pattern=r"^https?://[^?#]+$")]
    listen: Address = "127.0.0.1:9003"
    keys: DefaultRing = Path("keys")
    passphrase_file: FilePath | None = None
    read_only: bool = False
    rings: dict[RingName, KeyRing] = Field(default={})
    rotation: Rotation = Rotation()
    clients: FilePath = Path("clients.yaml")
    lifetime: Duration = 30_000
    tls: Tls | None = None
    admin: Address | None = None
    client_certificate: ClientCertificate = ClientCertificate()
    client_secret_basic: Literal["accept the risk"] | None = None
    plain_loopback: Literal["accept the risk"] | None = None
    failure_limit: FailureLimit = FailureLimit()

    @model_validator(mode="after")
    def _certificates_come_by_a_known_way(self) -> "Issuer":
        forwarded = self.client_certificate.source != "peer"
        if not forwarded and self.plain_loopback:
            raise ValueError("plain_loopback is for client_certificate.source xfcc or rfc9440")
        if self.tls and forwarded and not self.client_certificate.hop_identities:
            raise ValueError(
                "client_certificate.hop_identities: required; the URI SANs of the proxies whose word on certificates "
                "counts"
            )
        if forwarded and self.tls and self.tls.client_ca is None:
            raise ValueError("tls.client_ca: required; proxies are known by their certificates")
        if self.grpc is not None and (self.tls is None or self.tls.client_ca is None):
            raise ValueError("grpc needs tls with client_ca: who asks there is known by a certificate alone")
        return self

    subject_issuers: list[SubjectIssuer] = Field(default=[])
    trust_domains: list[Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,255}$")]] = Field(default=[])
    grpc: Address | None = None
    dpop: Dpop = Dpop()
    encryption: dict[str, FilePath] = Field(default={})

    @field_validator("lifetime")
    @classmethod
    def _lifetime_is_bounded(cls, value: int) -> int:
        if not 1000 <= value <= 300_000:  # noqa: PLR2004 - see model.token.MAX_LIFETIME_MS
            raise ValueError("between 1s and 300s")
        return value

    @field_validator("rings")
    @classmethod
    def _the_default_ring_is_keys(cls, value: dict[str, KeyRing]) -> dict[str, KeyRing]:
        if DEFAULT_RING_TITLE in value:
            raise ValueError(f"{DEFAULT_RING_TITLE} is what the ring of issuer.keys is called; choose another name")
        return value

    @model_validator(mode="after")
    def _subjects_cannot_be_confused(self) -> "Issuer":
        issuers = [each.issuer for each in self.subject_issuers]
        if self.url in issuers or len(set(issuers)) != len(issuers):
            raise ValueError("subject_issuers: an issuer stands twice, or is this one")
        prefixes = sorted(each.subject_prefix for each in self.subject_issuers)
        if any(after.startswith(before) for before, after in pairwise(prefixes)):
            raise ValueError(
                "subject_issuers: two users of two issuers could have one name in our tokens; "
                "give each issuer a subject_prefix that is not the beginning of another's"
            )
        return self
