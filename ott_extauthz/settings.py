"""What did the operator configure?  ``ott.yaml`` and ``OTT_…`` variables, parsed once into what cannot be wrong.

- The file is validated as a whole; every mistake is reported at once, with its place.
- ``OTT_LISTEN__CHECK=…`` overrides ``listen.check``; its value is read as YAML.  An unknown ``OTT_…`` is a mistake.
- Secrets come only as file paths.  Relative paths are relative to the file that names them.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from ott_extauthz.documents.located import Located, read_yaml
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.documents.validated import Duration, Model, validated
from ott_extauthz.issuer.order import DEFAULT_RING_TITLE
from ott_extauthz.key_backends import AwsKmsRing, VaultRing
from ott_extauthz.model.token import TokenFormat
from ott_extauthz.sections.api_keys import ApiKeys, EnvoyPayload
from ott_extauthz.sections.introspection import Introspection
from ott_extauthz.sections.proofs import CheckDpop, Dpop
from ott_extauthz.sections.signing import SigningKeys
from ott_extauthz.sections.trust_domains import TrustDomain, TrustDomainName
from ott_extauthz.sections.trusted_issuers import SubjectIssuer, Trust
from ott_extauthz.store_url import StoreUrl, store_url

PREFIX: Final = "OTT_"
TOOL_VARIABLES: Final = frozenset({"OTT_ENVOY"})
"""Variables of the demo and the tests, not of the service."""


def _as_list(value: Any) -> Any:  # noqa: ANN401 - whatever stood in the file
    return [value] if isinstance(value, str) else value


def _address(value: str) -> str:
    if value.startswith("unix://"):
        if not value.removeprefix("unix://").startswith("/"):
            raise ValueError("a Unix socket is written unix:///absolute/path")
        return value
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004 - the largest port
        raise ValueError("an address is written host:port or unix:///path")
    return value


Address = Annotated[str, BeforeValidator(lambda value: _address(value) if isinstance(value, str) else value)]
FilePath = Annotated[Path, Field(strict=False)]
PolicyPaths = Annotated[
    list[FilePath],
    BeforeValidator(_as_list),
    Field(min_length=1),
    WithJsonSchema({
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
        "description": "A file, a folder with *.yaml files, or a list of these.",
    }),
]  # fmt: skip
"""Where the policy stands: files, and folders with files; one of them alone may be written without a list."""


class Tls(Model):
    """A server certificate; with ``client_ca`` clients must show one too (mTLS).  Changed files are read anew."""

    certificate: FilePath
    key: FilePath
    client_ca: FilePath | None = None


class Listen(Model):
    """Where the Check server listens.  Several ``check`` addresses mean one worker process each."""

    check: Annotated[list[Address], BeforeValidator(_as_list), Field(min_length=1)] = Field(default=["127.0.0.1:9001"])
    admin: Address = "127.0.0.1:9002"
    transport: Literal["auto", "native", "grpcio"] = "auto"
    tls: Tls | None = None

    @property
    def chosen_transport(self) -> Literal["native", "grpcio"]:
        """``auto`` takes native unless TLS is configured, which native cannot do."""
        if self.transport == "auto":
            return "grpcio" if self.tls else "native"
        return self.transport

    @model_validator(mode="after")
    def _native_has_no_tls(self) -> "Listen":
        if self.transport == "native" and self.tls:
            raise ValueError("transport native serves no TLS; take grpcio or auto")
        return self

    @field_validator("check")
    @classmethod
    def _addresses_differ(cls, value: list[str]) -> list[str]:
        if len(set(value)) != len(value):
            raise ValueError("an address stands twice")
        return value


class ClientCertificate(Model):
    """Which certificate counts as the caller's: the trust rule for ``source.certificate``, XFCC or RFC 9440.

    ``exact_hops`` refuses an XFCC header with more elements than ``trusted_hops`` + 1, for proxies that never append to
    what a client sent (SANITIZE_SET).
    """

    source: Literal["peer", "xfcc", "rfc9440"] = "peer"
    trusted_hops: Annotated[int, Field(ge=0, le=8)] = 0
    hop_identities: list[str] = Field(default=[])
    exact_hops: bool = False

    @model_validator(mode="after")
    def _hops_are_named(self) -> "ClientCertificate":
        if self.trusted_hops and self.source != "xfcc":
            raise ValueError("trusted_hops counts XFCC elements; it needs source: xfcc")
        if self.trusted_hops and not self.hop_identities:
            raise ValueError("trusted_hops needs hop_identities: the URI SANs of the proxies to the caller's right")
        return self


class Store(Model):
    """The used-list.  ``store: memory://`` is short for ``store: {url: memory://}``.

    ``wait`` counts a use only once so many replicas have it; ``all`` means every one of them, and ``replicas`` says how
    many the primary has: one that is cut off from its replicas counts none.
    """

    url: str
    password_file: FilePath | None = None
    ca: FilePath | None = None
    certificate: FilePath | None = None
    key: FilePath | None = None
    timeout: Duration = 80
    sentinel_password_file: FilePath | None = None
    wait: Literal["all"] | Annotated[int, Field(ge=1, le=16)] | None = None
    replicas: Annotated[int, Field(ge=1, le=16)] | None = None

    @field_validator("url")
    @classmethod
    def _well_formed_and_without_secret(cls, value: str) -> str:
        store_url(value)
        return value

    @property
    def parts(self) -> StoreUrl:
        """The URL, taken apart."""
        return store_url(self.url)

    @property
    def kind(self) -> str:
        """What follows the ``+`` of a Redis URL: sentinel, cluster, quorum, or nothing."""
        return self.parts.kind

    @model_validator(mode="after")
    def _files_are_used(self) -> "Store":
        if (self.ca or self.certificate or self.key) and not self.url.startswith(("rediss", "postgresql")):
            raise ValueError(
                "ca, certificate and key are for TLS, which this URL does not speak: rediss://, postgresql://"
            )
        if self.key and not self.certificate:
            raise ValueError("key needs certificate: the one it belongs to")
        if self.url.startswith("postgresql") and self.certificate and not self.ca:
            raise ValueError("postgresql:// speaks TLS where ca is given; certificate needs it")
        if self.password_file and not self.url.startswith(("redis", "postgresql")):
            raise ValueError("password_file is for redis://, rediss:// and postgresql://")
        if self.sentinel_password_file and self.kind != "sentinel":
            raise ValueError("sentinel_password_file is for redis+sentinel://")
        return self

    @model_validator(mode="after")
    def _is_a_deployment(self) -> "Store":
        if not self.url.startswith("redis"):
            if self.wait or self.replicas:
                raise ValueError("wait and replicas are for redis://, redis+sentinel:// and redis+cluster://")
            return self
        servers = self.parts.servers
        if len(set(servers)) != len(servers):
            raise ValueError("a server of store.url stands twice")
        if not self.kind and len(servers) > 1:
            raise ValueError("several servers are written redis+sentinel://, redis+cluster:// or redis+quorum://")
        if self.kind == "quorum":
            if len(servers) < 3 or len(servers) % 2 == 0:  # noqa: PLR2004 - of two, one down leaves no majority
                raise ValueError(f"a quorum has 3 or 5 servers, an odd number; store.url names {len(servers)}")
            if self.wait or self.replicas:
                raise ValueError("a quorum's servers have no replicas to wait for; leave wait and replicas out")
        if (self.wait == "all") != (self.replicas is not None):
            raise ValueError(
                "wait: all and replicas go together: a primary that is cut off from its replicas counts none"
            )
        return self

    @property
    def is_memory(self) -> bool:
        """Whether the list lives in this process and dies with it."""
        return self.url.startswith("memory:")


class ClockBounds(Model):
    """How far clocks may differ.  The fence's margin follows from these (docs/single-use.md)."""

    max_skew: Duration = 500
    iat_lead: Duration = 500
    exp_leeway: Duration = 2000

    @field_validator("max_skew", "iat_lead", "exp_leeway")
    @classmethod
    def _bounded(cls, value: int) -> int:
        if value > 60_000:  # noqa: PLR2004 - RFC 8725 practice: a leeway is at most a minute
            raise ValueError("at most 60s")
        return value


class Audit(Model):
    """Where decisions are written down; ``required`` makes a call that cannot be written down a refusal."""

    path: FilePath
    required: bool = True


class Geoip(Model):
    """Where networks are looked up: ``asn`` is a file in MaxMind's format; it needs the extra ``geoip``."""

    asn: FilePath


class Drain(Model):
    """How a server leaves: say NOT_SERVING, ``wait`` so that Envoy sees it, then give running calls ``grace``."""

    wait: Duration = 5000
    grace: Duration = 5000


class Rotation(Model):
    """How signing keys turn.  ``every: 0s`` makes no new key by itself; what `keys rotate` began goes on all the same.

    A next key is published ``publish_before`` it signs: verifiers must have read it by then.  A key that was replaced
    stays published ``retire_after``: the longest life of a token (300 s), verifiers' leeway (60 s at most) and time for
    other issuers to follow.
    """

    every: Duration = 0
    publish_before: Duration = 600_000
    retire_after: Duration = 420_000

    @model_validator(mode="after")
    def _leaves_no_gap(self) -> "Rotation":
        if not 60_000 <= self.publish_before <= 604_800_000:  # noqa: PLR2004 - a file is followed in seconds
            raise ValueError("publish_before is between 1m and 7d")
        if not 360_000 <= self.retire_after <= 86_400_000:  # noqa: PLR2004 - see the docstring
            raise ValueError("retire_after is between 6m and 1d")
        if self.every and self.every < self.publish_before + self.retire_after:
            raise ValueError("every is at least publish_before and retire_after together, or 0s")
        return self


class KeyDirectory(Model):
    """A key ring in files.  What is left out is as for ``issuer.keys``."""

    directory: FilePath
    passphrase_file: FilePath | None = None
    read_only: bool | None = None


def _kind_of_ring(value: Any) -> str:  # noqa: ANN401 - whatever stood in the file
    """Which kind is meant, so that what is wrong with it is told in that kind's words; no kind is called like a key."""
    has = value.keys() if isinstance(value, dict) else type(value).model_fields if isinstance(value, Model) else ()
    return next((f"a ring in {kind}" for kind in ("vault", "aws_kms") if kind in has), "a ring in files")


_Elsewhere = Annotated[VaultRing, Tag("a ring in vault")] | Annotated[AwsKmsRing, Tag("a ring in aws_kms")]
_Directory = Annotated[
    KeyDirectory, BeforeValidator(lambda value: {"directory": value} if isinstance(value, str) else value)
]
KeyRing = Annotated[_Elsewhere | Annotated[_Directory, Tag("a ring in files")], Discriminator(_kind_of_ring)]
DefaultRing = Annotated[_Elsewhere | Annotated[FilePath, Tag("a ring in files")], Discriminator(_kind_of_ring)]
RingName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


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


class AttachIssuer(Model):
    """The issuer to ask over gRPC, as the workload whose certificate this is; the tokens are bound to it.

    With ``binding: workload`` they are bound to its SPIFFE ID alone, for a mesh whose Envoy calls with another
    certificate of the same workload.  Changed files are read anew.  ``name`` is what the issuer's certificate must say
    where ``address`` does not.
    """

    address: Address
    ca: FilePath
    certificate: FilePath
    key: FilePath
    name: str | None = None
    binding: Literal["certificate", "workload"] = "certificate"


class Attach(SigningKeys):
    """Whose tokens attaching routes put on requests, and where they come from: the issuer, or keys of our own.

    ``signing_keys`` are those that sign requests; where that is all, neither ``issuer`` nor ``client_id`` is needed.

    Minted here with the keys of ``issuer``, they are bound to ``certificate``, the one that Envoy presents, or to the
    workload ``spiffe_id``; what may stand in them is what ``issuer.clients`` grants ``client_id``.
    """

    issuer: AttachIssuer | None = None
    client_id: str | None = None
    certificate: FilePath | None = None
    spiffe_id: Annotated[str, Field(pattern=r"^spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)+$")] | None = None

    @property
    def has_tokens(self) -> bool:
        """Whether there is somewhere to get tokens from."""
        return self.issuer is not None or self.client_id is not None

    @model_validator(mode="after")
    def _is_one_source(self) -> "Attach":
        if self.issuer is not None and self.client_id is not None:
            raise ValueError("at most one of issuer (asked over gRPC) and client_id (minted here)")
        if not self.has_tokens and not self.signing_keys:
            raise ValueError("one of issuer (tokens asked for), client_id (minted here) and signing_keys")
        bound = [name for name in (self.certificate, self.spiffe_id) if name is not None]
        if self.issuer is not None and bound:
            raise ValueError("with issuer the tokens are bound to attach.issuer.certificate; leave the others out")
        if not self.has_tokens and bound:
            raise ValueError("certificate and spiffe_id are what tokens are bound to; they go with client_id")
        if self.client_id is not None and len(bound) != 1:
            raise ValueError("exactly one of certificate (that Envoy presents) and spiffe_id (the workload's)")
        return self


class Reload(Model):
    """How often files that may change are looked at: policy, shadow policy, key sets.  ``0s``: on SIGHUP only."""

    every: Duration = 1000

    @field_validator("every")
    @classmethod
    def _bounded(cls, value: int) -> int:
        if value and not 100 <= value <= 3_600_000:  # noqa: PLR2004 - a look takes a millisecond; an hour is an outage
            raise ValueError("between 100ms and 1h, or 0s to look on SIGHUP only")
        return value


class Log(Model):
    """What is logged, to standard error, as JSON lines."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(Model):
    """The whole of ``ott.yaml``.  ``decryption`` is a folder with the private keys that open encrypted tokens.

    ``partners`` is the file that says who signs requests, and with which keys.
    With ``trust_domains`` a SPIFFE ID counts only where its own domain's authorities signed it; other domains do not.
    ``introspection`` are the issuers that are asked about their access tokens.
    """

    listen: Listen = Listen()
    client_certificate: ClientCertificate = ClientCertificate()
    store: Annotated[Store, BeforeValidator(lambda value: {"url": value} if isinstance(value, str) else value)] = Store(
        url="memory://"
    )
    trust: Annotated[list[Trust], Field(min_length=1)] | None = None
    api_keys: ApiKeys | None = None
    envoy_payload: EnvoyPayload = EnvoyPayload()
    introspection: list[Introspection] = Field(default=[])
    decryption: FilePath | None = None
    dpop: CheckDpop = CheckDpop()
    partners: FilePath | None = None
    trust_domains: Annotated[dict[TrustDomainName, TrustDomain], Field(min_length=1)] | None = None
    policy: PolicyPaths | None = None
    shadow_policy: PolicyPaths | None = None
    reload: Reload = Reload()
    clock: ClockBounds = ClockBounds()
    region: str | None = None
    geoip: Geoip | None = None
    audit: Audit | None = None
    drain: Drain = Drain()
    expose_reasons: bool = False
    issuer: Issuer | None = None
    attach: Attach | None = None
    log: Log = Log()

    @model_validator(mode="after")
    def _memory_is_one_process(self) -> "Settings":
        if self.store.is_memory and len(self.listen.check) > 1:
            raise ValueError(
                "store memory:// lives in one process: with several listen.check addresses each worker would accept "
                "a token once; use sqlite:///file, redis:// or postgresql://"
            )
        return self

    @model_validator(mode="after")
    def _own_tokens_have_keys(self) -> "Settings":
        if self.attach is not None and self.attach.client_id is not None and self.issuer is None:
            raise ValueError("attach.client_id mints here and needs issuer: its url, keys and clients")
        return self

    @field_validator("trust")
    @classmethod
    def _issuers_differ(cls, value: list[Trust] | None) -> list[Trust] | None:
        entries = value or ()
        if len({(trust.issuer, trust.format) for trust in entries}) != len(entries):
            raise ValueError("an issuer stands twice")
        others = {trust.jwks for trust in entries if trust.format == "jwt" and trust.jwks is not None}
        if any(trust.jwks in others for trust in entries if trust.format == "paseto"):
            raise ValueError("a key is for one format: an issuer's PASETO keys stand in a key set of their own")
        return value

    @field_validator("introspection")
    @classmethod
    def _asked_issuers_differ(cls, value: list[Introspection]) -> list[Introspection]:
        if len({entry.issuer for entry in value}) != len(value):
            raise ValueError("an issuer stands twice")
        return value

    def trusted(self, form: TokenFormat) -> list[Trust]:
        """Return the issuers whose tokens come in this format."""
        return [trust for trust in self.trust or () if trust.format == form]


def load(path: Path, environ: Mapping[str, str]) -> Settings:
    """Read ``path``, lay the ``OTT_…`` variables over it, resolve relative paths against its folder.

    Raises:
        DocumentError: every problem at once, each with its place.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError([Problem(str(path), 0, 0, "", f"cannot be read: {_why(error)}")]) from None
    located = _overlaid(read_yaml(text, str(path)), environ)
    return _anchored(validated(located, Settings), path.parent)


def _why(error: Exception) -> str:
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else "not UTF-8"


def _overlaid(located: Located, environ: Mapping[str, str]) -> Located:
    """Lay ``OTT_A__B=value`` over ``a.b``; the place of such a value is its variable."""
    data = located.data if located.data is not None else {}
    if not isinstance(data, dict):
        raise DocumentError([located.problem((), "must be a mapping")])
    places = dict(located.places)
    problems: list[Problem] = []
    for name, value in sorted(environ.items()):
        if not name.startswith(PREFIX) or name in TOOL_VARIABLES:
            continue
        keys = tuple(name.removeprefix(PREFIX).lower().split("__"))
        if keys[0] not in Settings.model_fields:
            problems.append(Problem(f"environment variable {name}", 0, 0, "", "no such setting"))
            continue
        target = data
        for key in keys[:-1]:
            below = target.get(key)
            target = target.setdefault(key, {}) if below is None else below
            if not isinstance(target, dict):
                problems.append(Problem(f"environment variable {name}", 0, 0, "", f"{key} is not a mapping"))
                break
        else:
            target[keys[-1]] = read_yaml(value, f"environment variable {name}").data
            for length in range(1, len(keys) + 1):
                places.setdefault(keys[:length], (0, 0))
    if problems:
        raise DocumentError(problems)
    return Located(located.source, data, places)


def _anchored(settings: Settings, folder: Path) -> Settings:
    """Make every relative path relative to the folder of the file that named it."""

    def anchored(value: Any) -> Any:  # noqa: ANN401 - any field of a model
        if isinstance(value, Path):
            return folder / value.expanduser()
        if isinstance(value, Model):
            return value.model_copy(update={name: anchored(part) for name, part in value})
        if isinstance(value, list):
            return [anchored(item) for item in value]
        if isinstance(value, dict):
            return {name: anchored(item) for name, item in value.items()}
        return value

    result: Settings = anchored(settings)
    return result


def schema() -> dict[str, Any]:
    """Return the JSON Schema of ``ott.yaml``."""
    return Settings.model_json_schema()


def host_and_port(address: str) -> tuple[str, int]:
    """Split ``host:port``; an IPv6 host loses its brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
