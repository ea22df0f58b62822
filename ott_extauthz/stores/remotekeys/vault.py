"""How does a key of Vault's transit engine sign?  One request for a batch; the versions of the key are the ring.

- The request names the version, and each signature must say the same (``vault:v3:``): the JOSE header names that
  version's kid, and a signature of another version would be a token nobody can verify.
- A redirect is a failure: the token goes to the configured address and to no other.
- A request is tried twice where the connection broke or Vault was sealed, in standby or too busy.  Signing twice is
  harmless: a signature is no token until it is returned.
"""

import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from ott_extauthz.authn.base64url import decoded
from ott_extauthz.key_backends import Vault
from ott_extauthz.ports import SigningError
from ott_extauthz.stores.remotekeys.keys import Look, RemoteKey, RingError, goes_with
from ott_extauthz.stores.remotekeys.vault_login import LoggedIn
from ott_extauthz.stores.remotekeys.versions import Overlap, look_at

T = TypeVar("T")

MOST_VERSIONS: Final = 1000
_TRY_AGAIN_SECONDS: Final = 0.05
_FORMS: Final[Mapping[str, Mapping[str, str]]] = {
    "EdDSA": {},
    "ES256": {"hash_algorithm": "sha2-256", "marshaling_algorithm": "jws"},
    "RS256": {"hash_algorithm": "sha2-256", "signature_algorithm": "pkcs1v15"},
    "PS256": {"hash_algorithm": "sha2-256", "signature_algorithm": "pss", "salt_length": "hash"},  # RFC 7518 §3.5
}


class VaultKeys:
    """The versions of one transit key."""

    calls_at_once = 1

    def __init__(self, settings: Vault, *, overlap: Overlap) -> None:
        """Connect to nothing yet.

        Raises:
            RingError: the extra is not installed.
        """
        self.algorithm = settings.algorithm
        self._settings, self._overlap = settings, overlap
        self._client = _client(settings)
        self._login = LoggedIn(self._client, settings.login, time.monotonic)
        self._seen_ms: dict[int, int] | None = None

    def look(self, now_ms: int) -> Look:
        """Return the ring that the key's versions are now."""
        data = self._asked(lambda: self._transit.read_key(self._settings.key, mount_point=self._settings.mount))
        try:
            entries = {int(version): entry for version, entry in data["keys"].items()}
            least = max(1, int(data["min_decryption_version"]))
            least_signing = max(least, int(data["min_encryption_version"]))
            versions = {version: self._key(version, entries[version]) for version in entries if version >= least}
        except (KeyError, TypeError, ValueError, AttributeError, UnsupportedAlgorithm):
            raise SigningError(f"{self._name}: not the description of a key pair") from None
        if not 0 < len(versions) <= MOST_VERSIONS:
            raise SigningError(f"{self._name}: {len(versions)} versions; raise min_decryption_version")
        seen_ms = self._since(versions, now_ms)
        look = look_at(
            versions, seen_ms=seen_ms, least_signing=least_signing, overlap=self._overlap, now_ms=now_ms
        )  # fmt: skip
        if look is None:
            raise SigningError(f"{self._name}: min_encryption_version lies above every version")
        self._seen_ms = seen_ms
        return look

    def sign(self, key: RemoteKey, messages: Sequence[bytes]) -> Sequence[bytes]:
        """Sign a whole batch in one request."""
        batch = [{"input": b64encode(message).decode("ascii")} for message in messages]
        settings = self._settings
        data = self._asked(
            lambda: self._transit.sign_data(
                settings.key,
                batch_input=batch,
                key_version=int(key.reference),
                mount_point=settings.mount,
                **_FORMS[self.algorithm],
            )
        )
        results = data.get("batch_results")
        if not isinstance(results, list) or len(results) != len(messages):
            raise SigningError(f"{self._name}: signed another number of messages than asked")
        return [self._signature(result, key.reference) for result in results]

    @property
    def _transit(self) -> Any:  # noqa: ANN401 - hvac's
        return self._client.secrets.transit

    @property
    def _name(self) -> str:
        return f"vault {self._settings.mount}/{self._settings.key}"

    def _key(self, version: int, entry: Mapping[str, str]) -> RemoteKey:
        made = datetime.fromisoformat(entry["creation_time"])
        text = entry["public_key"]
        public: object = (
            load_pem_public_key(text.encode("ascii"))
            if text.startswith("-----")
            else ed25519.Ed25519PublicKey.from_public_bytes(b64decode(text, validate=True))
        )
        if not goes_with(public, self.algorithm):
            raise SigningError(f"{self._name}: a key of this type does not sign {self.algorithm}")
        return RemoteKey(str(version), public, int(made.timestamp() * 1000))  # type: ignore[arg-type]

    def _since(self, versions: Mapping[int, RemoteKey], now_ms: int) -> dict[int, int]:
        """Since when each version is published: at the first look by its age, later not before we saw it."""
        before = self._seen_ms
        if before is None:
            return {version: key.made_ms for version, key in versions.items()}
        return {version: before.get(version, max(key.made_ms, now_ms)) for version, key in versions.items()}

    def _signature(self, result: Any, version: str) -> bytes:  # noqa: ANN401 - JSON
        text = result.get("signature") if isinstance(result, dict) and not result.get("error") else None
        prefix = f"vault:v{version}:"
        if not isinstance(text, str) or not text.startswith(prefix):
            raise SigningError(f"{self._name}: no signature of version {version}")
        raw = text.removeprefix(prefix)
        try:
            signature = decoded(raw) if self.algorithm == "ES256" else b64decode(raw, validate=True)
        except ValueError:
            signature = None
        if not signature:
            raise SigningError(f"{self._name}: a signature that is none")
        return signature

    def _asked(self, request: Callable[[], Any]) -> dict[str, Any]:
        """Return the answer's data; a token that is refused is replaced once, a broken connection tried once more."""
        from hvac.exceptions import BadGateway, Forbidden, RateLimitExceeded, VaultDown, VaultError  # noqa: PLC0415

        problem = "unreachable"
        for is_last in (False, True):
            token = None
            try:
                self._login.ensure()
                token = self._client.token
                return _data(request())
            except Forbidden:
                problem = "permission denied"
                if not is_last and token is not None:
                    self._logged_in_again(token)
            except (BadGateway, RateLimitExceeded, VaultDown) as error:
                problem = type(error).__name__
            except OSError as error:  # requests' own are; so is a `ca` that went away
                problem = f"unreachable ({type(error).__name__})"
            except VaultError as error:  # its message may quote the request
                raise SigningError(f"{self._name}: refused ({type(error).__name__})") from None
            except (KeyError, TypeError, ValueError):
                raise SigningError(f"{self._name}: an answer that is none of Vault's") from None
            if not is_last:
                time.sleep(_TRY_AGAIN_SECONDS)
        raise SigningError(f"{self._name}: {problem}")

    def _logged_in_again(self, token: str) -> None:
        from hvac.exceptions import VaultError  # noqa: PLC0415

        try:
            self._login.again(token)
        except (VaultError, OSError) as error:
            raise SigningError(f"{self._name}: login failed ({type(error).__name__})") from None


def _data(answer: Any) -> dict[str, Any]:  # noqa: ANN401 - what hvac returns: JSON, or a response that is none
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), dict):
        raise TypeError
    data: dict[str, Any] = answer["data"]
    return data


def _client(settings: Vault) -> Any:  # noqa: ANN401 - hvac has no types
    try:
        import hvac  # noqa: PLC0415 - an extra
        import requests  # noqa: PLC0415
    except ImportError:
        raise RingError("needs the package hvac: install ott-extauthz[vault]") from None
    session = requests.Session()
    session.trust_env = False  # no proxy, no .netrc, no other CA from the environment
    session.verify = True if settings.ca is None else str(settings.ca)
    return hvac.Client(
        url=settings.address,
        token="",  # None would read VAULT_TOKEN and ~/.vault-token
        verify=session.verify,
        cert=(),  # None would read VAULT_CLIENT_CERT
        timeout=settings.timeout / 1000,
        allow_redirects=False,
        session=session,
        namespace=settings.namespace,
    )
