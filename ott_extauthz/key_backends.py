"""Where may signing keys live other than in files?  The settings of Vault's transit engine and of AWS KMS.

- Nothing is taken from the environment: no VAULT_TOKEN, no AWS_ACCESS_KEY_ID, no proxy.
- Secrets are files, read anew at each login, so that whoever rotates them need tell nobody.
"""

import re
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from ott_extauthz.documents.validated import Duration, Model

RemoteAlgorithm = Literal["EdDSA", "ES256", "RS256", "PS256"]
KUBERNETES_TOKEN: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_KMS_KEY: Final = re.compile(r"(?:arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/)?(?:mrk-[0-9a-f]{32}|[0-9a-f-]{36})")
_LONGEST_TIMEOUT_MS: Final = 30_000

_File = Annotated[Path, Field(strict=False)]
_Name = Annotated[str, Field(pattern=r"^\w(?:[\w.-]{0,126}\w)?$")]
_Mount = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$")]
_Word = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,256}$")]


def _https_or_loopback(url: str) -> str:
    parts = urlsplit(url)
    if not parts.hostname or parts.username is not None or parts.query or parts.fragment:
        raise ValueError("an address is written https://host:port, without user, query and fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError("https://, or http:// to this machine alone: whoever listens in could sign")
    return url.rstrip("/")


def _timeout(value: int) -> int:
    if not 1 <= value <= _LONGEST_TIMEOUT_MS:
        raise ValueError("between 1ms and 30s")
    return value


class KubernetesLogin(Model):
    """Vault's Kubernetes auth method: the pod's service account token for a role."""

    role: _Word
    jwt_file: _File = KUBERNETES_TOKEN
    mount: _Mount = "kubernetes"


class AppRoleLogin(Model):
    """Vault's AppRole auth method."""

    role_id: _Word
    secret_id_file: _File
    mount: _Mount = "approle"


class VaultLogin(Model):
    """How the issuer proves to Vault who it is: exactly one way.  ``token_file`` may be one that Vault Agent keeps."""

    token_file: _File | None = None
    kubernetes: KubernetesLogin | None = None
    app_role: AppRoleLogin | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "VaultLogin":
        if sum(way is not None for way in (self.token_file, self.kubernetes, self.app_role)) != 1:
            raise ValueError("exactly one of token_file, kubernetes and app_role")
        return self


class Vault(Model):
    """A key of Vault's transit engine.  Its versions are the ring; ``algorithm`` must go with the key's type.

    ``ca`` alone is believed where it is given.  ``every`` is how often new versions are looked for, ``timeout`` what
    one request may take.
    """

    address: str
    key: _Name
    algorithm: RemoteAlgorithm = "EdDSA"
    login: VaultLogin
    mount: _Mount = "transit"
    namespace: _Word | None = None
    ca: _File | None = None
    every: Duration = 30_000
    timeout: Duration = 2000

    _address = field_validator("address")(_https_or_loopback)
    _timeout = field_validator("timeout")(_timeout)

    @field_validator("every")
    @classmethod
    def _looked_at_often(cls, value: int) -> int:
        if not 1000 <= value <= 60_000:  # noqa: PLR2004 - a next key is published for a minute at least
            raise ValueError("between 1s and 1m: a new version must be published before it signs")
        return value


class AwsKms(Model):
    """Keys of AWS KMS: ``active`` signs, ``keys`` are published beside it (next, or replaced and not yet forgotten).

    All of one ``algorithm``.  ``credentials_file`` is AWS's shared credentials file, and ``profile`` a part of it;
    without it the workload's own identity is used: web identity, container role, or instance role.
    """

    region: Annotated[str, Field(pattern=r"^[a-z]{2}(?:-[a-z]+)+-[0-9]$")]
    active: str
    keys: list[str] = Field(default=[])
    algorithm: RemoteAlgorithm = "ES256"
    endpoint: str | None = None
    ca: _File | None = None
    credentials_file: _File | None = None
    profile: _Name = "default"
    timeout: Duration = 2000

    _timeout = field_validator("timeout")(_timeout)

    @field_validator("endpoint")
    @classmethod
    def _endpoint(cls, value: str | None) -> str | None:
        return None if value is None else _https_or_loopback(value)

    @model_validator(mode="after")
    def _keys_stay_what_they_are(self) -> "AwsKms":
        for key in (self.active, *self.keys):
            if not _KMS_KEY.fullmatch(key):
                raise ValueError("a key is named by its id or key ARN; an alias may move to another key under way")
        if len({self.active, *self.keys}) != 1 + len(self.keys):
            raise ValueError("a key stands twice; keys are those beside active")
        return self


class VaultRing(Model):
    """A key ring in HashiCorp Vault, or in OpenBao."""

    vault: Vault


class AwsKmsRing(Model):
    """A key ring in AWS KMS."""

    aws_kms: AwsKms
