"""How does a key of AWS KMS sign?  One request a message; the keys of the ring are listed, none is ever looked for.

- The key is asked for by the ARN that its public half came with, and the answer must name it.
- A message above 4096 bytes goes as its digest, which KMS takes for ECDSA and RSA; Ed25519 has no such way.
- Identity comes from a file, or from the workload's own (web identity, container, instance); never from
  AWS_ACCESS_KEY_ID and the like.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ott_extauthz.key_backends import AwsKms
from ott_extauthz.ports import SigningError
from ott_extauthz.stores.remotekeys.keys import Look, RemoteKey, RingError, State, goes_with
from ott_extauthz.stores.signing import joined

MOST_RAW_BYTES: Final = 4096
_CALLS_AT_ONCE: Final = 8
_TRIES: Final = 2
_ALGORITHMS: Final = {
    "EdDSA": "ED25519_SHA_512",
    "ES256": "ECDSA_SHA_256",
    "RS256": "RSASSA_PKCS1_V1_5_SHA_256",
    "PS256": "RSASSA_PSS_SHA_256",
}
_FROM_FILES: Final = ("shared-credentials-file",)
_OF_THE_WORKLOAD: Final = ("assume-role-with-web-identity", "container-role", "iam-role")


class KmsKeys:
    """The listed keys, one of them active."""

    calls_at_once = _CALLS_AT_ONCE

    def __init__(self, settings: AwsKms, *, client: Any = None) -> None:  # noqa: ANN401 - boto3 makes its types at run time
        """Connect to nothing yet; ``client`` is KMS's, one by the settings if left out.

        Raises:
            RingError: the extra is not installed.
        """
        self.algorithm = settings.algorithm
        self._settings = settings
        self._client = client or _client(settings)

    def look(self, now_ms: int) -> Look:  # noqa: ARG002 - which key signs is written in the settings, not told by time
        """Return the public halves of the listed keys, the active one first."""
        active = self._key(self._settings.active)
        others: list[tuple[RemoteKey, State]] = [(self._key(name), "next") for name in self._settings.keys]
        return Look(active, ((active, "active"), *others))

    def sign(self, key: RemoteKey, messages: Sequence[bytes]) -> Sequence[bytes]:
        """Sign one after the other."""
        return [self._signature(key.reference, message) for message in messages]

    def _signature(self, arn: str, message: bytes) -> bytes:
        is_raw = len(message) <= MOST_RAW_BYTES
        if not is_raw and self.algorithm == "EdDSA":
            raise SigningError(f"kms: Ed25519 signs at most {MOST_RAW_BYTES} bytes")
        answer = self._asked(
            "sign",
            KeyId=arn,
            Message=message if is_raw else hashlib.sha256(message).digest(),
            MessageType="RAW" if is_raw else "DIGEST",
            SigningAlgorithm=_ALGORITHMS[self.algorithm],
        )
        signature = answer.get("Signature")
        if _id(answer.get("KeyId")) != _id(arn) or not isinstance(signature, bytes) or not signature:
            raise SigningError(f"kms {arn}: no signature of this key")
        try:
            return joined(signature) if self.algorithm == "ES256" else signature
        except (ValueError, OverflowError):
            raise SigningError(f"kms {arn}: a signature that is none") from None

    def _key(self, name: str) -> RemoteKey:
        answer = self._asked("get_public_key", KeyId=name)
        try:
            public, arn = load_der_public_key(answer["PublicKey"]), answer["KeyId"]
        except (KeyError, TypeError, ValueError, UnsupportedAlgorithm):
            raise SigningError(f"kms {name}: no public key that we know") from None
        usable = _ALGORITHMS[self.algorithm] in answer.get("SigningAlgorithms", ())
        if not usable or not goes_with(public, self.algorithm):
            raise SigningError(f"kms {name}: a key of this type does not sign {self.algorithm}")
        if _id(arn) != _id(name):
            raise SigningError(f"kms {name}: another key answered")
        made = self._asked("describe_key", KeyId=arn)["KeyMetadata"]["CreationDate"]
        return RemoteKey(arn, public, int(made.timestamp() * 1000))  # type: ignore[arg-type]

    def _asked(self, operation: str, **parameters: object) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - an extra

        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**parameters)
        except ClientError as error:  # AWS's code is one of a list; its message may name who we are
            raise SigningError(f"kms: {operation} refused ({error.response['Error'].get('Code')})") from None
        except BotoCoreError as error:
            raise SigningError(f"kms: unreachable ({type(error).__name__})") from None
        return answer


def _id(name: object) -> str:
    return str(name).rpartition("/")[2]


def _client(settings: AwsKms) -> Any:  # noqa: ANN401
    try:
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - an extra
    except ImportError:
        raise RingError("needs the package boto3: install ott-extauthz[aws]") from None
    try:
        return _connected(settings)
    except BotoCoreError as error:  # a file that is not there looks to it like a profile that is not in it
        found = f"{settings.credentials_file}, profile {settings.profile}: " if settings.credentials_file else ""
        raise RingError(f"kms: {found}cannot be used ({type(error).__name__})") from None


def _connected(settings: AwsKms) -> Any:  # noqa: ANN401
    try:
        import boto3  # noqa: PLC0415 - an extra
        from botocore.config import Config  # noqa: PLC0415
        from botocore.session import Session  # noqa: PLC0415
    except ImportError:
        raise RingError("needs the package boto3: install ott-extauthz[aws]") from None
    no_variable = {"profile": (None, None, None, None)}  # AWS_PROFILE would name a part of no file
    session = Session(no_variable, profile=settings.profile if settings.credentials_file else None)
    session.set_config_variable("config_file", "/dev/null")
    session.set_config_variable("credentials_file", str(settings.credentials_file or "/dev/null"))
    resolver = session.get_component("credential_provider")
    wanted = _FROM_FILES if settings.credentials_file else _OF_THE_WORKLOAD
    resolver.providers = [provider for provider in resolver.providers if provider.METHOD in wanted]
    seconds = settings.timeout / 1000
    config = Config(
        connect_timeout=seconds,
        read_timeout=seconds,
        retries={"total_max_attempts": _TRIES, "mode": "standard"},
        max_pool_connections=_CALLS_AT_ONCE,
        proxies={},
        ignore_configured_endpoint_urls=True,
    )
    return boto3.Session(botocore_session=session, region_name=settings.region).client(
        "kms",
        config=config,
        endpoint_url=settings.endpoint,
        verify=True if settings.ca is None else str(settings.ca),
    )
