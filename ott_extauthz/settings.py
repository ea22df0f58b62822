"""What did the operator configure?  ``ott.yaml`` and ``OTT_…`` variables, parsed once into what cannot be wrong.

- The file is validated as a whole; every mistake is reported at once, with its place.
- ``OTT_LISTEN__CHECK=…`` overrides ``listen.check``; its value is read as YAML.  An unknown ``OTT_…`` is a mistake.
- Secrets come only as file paths.  Relative paths are relative to the file that names them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import (
    BeforeValidator,
    Field,
    field_validator,
    model_validator,
)

from ott_extauthz.documents.located import Located, read_yaml
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.documents.validated import Model, validated
from ott_extauthz.model.token import TokenFormat
from ott_extauthz.reload.bounded import bounded
from ott_extauthz.sections.api_keys import ApiKeys, EnvoyPayload
from ott_extauthz.sections.attach import Attach
from ott_extauthz.sections.introspection import Introspection
from ott_extauthz.sections.issuer import Issuer
from ott_extauthz.sections.proofs import CheckDpop
from ott_extauthz.sections.server import ClientCertificate, Listen
from ott_extauthz.sections.serving import Audit, ClockBounds, Drain, Geoip, Log, MetricsWanted, Reload
from ott_extauthz.sections.store import Store
from ott_extauthz.sections.tracing import Tracing
from ott_extauthz.sections.trust_domains import TrustDomain, TrustDomainName
from ott_extauthz.sections.trusted_issuers import Trust
from ott_extauthz.sections.words import FilePath, PolicyPaths, file_name

PREFIX: Final = "OTT_"
TOOL_VARIABLES: Final = frozenset({"OTT_ENVOY"})
"""Variables of the demo and the tests, not of the service."""


class Settings(Model):
    """The whole of ``ott.yaml``.  ``decryption`` is a folder with the private keys that open encrypted tokens.

    ``partners`` is the file that says who signs requests, and with which keys.
    With ``trust_domains`` a SPIFFE ID counts only where its own domain's authorities signed it; other domains do not.
    ``introspection`` are the issuers that are asked about their access tokens.
    ``tracing`` sends spans to a collector; without it there are none.
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
    tracing: Tracing | None = None
    metrics: MetricsWanted = MetricsWanted()

    @model_validator(mode="after")
    def _memory_is_one_process(self) -> "Settings":
        if self.store.is_memory and len(self.listen.check) > 1:
            raise ValueError(
                "store memory:// lives in one process: with several listen.check addresses each worker would accept "
                "a token once; use sqlite:///file, redis:// or postgresql://"
            )
        return self

    @model_validator(mode="after")
    def _audits_are_apart(self) -> "Settings":
        workers = self.listen.check
        if self.audit is None or len(workers) == 1:
            return self
        if self.audit.path == "-":
            raise ValueError(
                "audit.path: - is for one worker: lines of several processes mix on one standard output; "
                "use a folder, or one listen.check address and more replicas"
            )
        if self.audit.rotate is not None and len(set(map(file_name, workers))) < len(workers):
            raise ValueError("audit.rotate: two listen.check sockets have one name and so one file; rename one of them")
        return self

    @model_validator(mode="after")
    def _own_tokens_have_keys(self) -> "Settings":
        if self.attach is not None and self.attach.client_id is not None and self.issuer is None:
            raise ValueError("attach.client_id mints here and needs issuer: its url, keys and clients")
        return self

    @model_validator(mode="after")
    def _always_is_always(self) -> "Settings":
        always = {entry.issuer for entry in self.introspection if entry.always}
        if any(trust.issuer in always and "access_token" in trust.kinds for trust in self.trusted("paseto")):
            raise ValueError(
                "introspection has always: true for an issuer whose access tokens come as PASETO, and nobody is asked "
                "about those; leave access_token out of its tokens (trust), or always"
            )
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
        text = bounded(path).decode()
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
