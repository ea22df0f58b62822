"""AWS KMS as its API reference has it, with real keys behind it; every request is held to botocore's own model of KMS.

moto cannot play this part alone: it knows no Ed25519 and no digests, and salts RSASSA-PSS otherwise than KMS.
"""

import hashlib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from itertools import cycle
from typing import Any

from botocore.exceptions import ClientError
from botocore.session import Session
from botocore.validate import ParamValidator
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MODEL = Session().get_service_model("kms")
MOST_BYTES = 4096
_SPECS: dict[str, tuple[str, ...]] = {
    "ECC_NIST_P256": ("ECDSA_SHA_256",),
    "ECC_NIST_EDWARDS25519": ("ED25519_SHA_512", "ED25519_PH_SHA_512"),
    "RSA_3072": ("RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PSS_SHA_256"),
}


@lru_cache
def _rsa_keys() -> Iterator[rsa.RSAPrivateKey]:
    """RSA keys take a second to make: two do for all, one after the other."""
    return cycle([rsa.generate_private_key(public_exponent=65537, key_size=3072) for _ in range(2)])


class FakeKms:
    """The part of KMS's client that signs."""

    def __init__(self) -> None:
        self.keys: dict[str, tuple[Any, str]] = {}
        self.signed: list[str] = []
        self.fault: Exception | None = None

    def new_key(self, spec: str) -> str:
        """Make a key, and return its ARN."""
        made: Any = {
            "ECC_NIST_P256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "ECC_NIST_EDWARDS25519": ed25519.Ed25519PrivateKey.generate,
            "RSA_3072": _rsa_keys().__next__,
        }[spec]()
        arn = f"arn:aws:kms:eu-west-1:111122223333:key/{uuid.uuid4()}"
        self.keys[arn] = (made, spec)
        return arn

    def get_public_key(self, **asked: Any) -> dict[str, Any]:
        arn, key, spec = self._key("GetPublicKey", asked)
        der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return {"KeyId": arn, "PublicKey": der, "SigningAlgorithms": list(_SPECS[spec])}

    def describe_key(self, **asked: Any) -> dict[str, Any]:
        self._key("DescribeKey", asked)
        return {"KeyMetadata": {"CreationDate": datetime(2026, 1, 2, tzinfo=UTC)}}

    def sign(self, **asked: Any) -> dict[str, Any]:
        arn, key, spec = self._key("Sign", asked)
        message, kind, algorithm = asked["Message"], asked["MessageType"], asked["SigningAlgorithm"]
        if algorithm not in _SPECS[spec]:
            raise _refusal("Sign", "InvalidKeyUsageException")
        if len(message) > MOST_BYTES or (kind == "DIGEST" and len(message) != hashlib.sha256().digest_size):
            raise _refusal("Sign", "ValidationException")
        self.signed.append(kind)
        return {"KeyId": arn, "Signature": _signature(key, message, kind, algorithm), "SigningAlgorithm": algorithm}

    def _key(self, operation: str, asked: dict[str, Any]) -> tuple[str, Any, str]:
        report = ParamValidator().validate(asked, MODEL.operation_model(operation).input_shape)
        assert not report.has_errors(), report.generate_report()
        if self.fault is not None:
            raise self.fault
        for arn, (key, spec) in self.keys.items():
            if asked["KeyId"] in (arn, arn.rpartition("/")[2]):
                return arn, key, spec
        raise _refusal(operation, "NotFoundException")


def _signature(key: Any, message: bytes, kind: str, algorithm: str) -> bytes:
    digest: Any = Prehashed(SHA256()) if kind == "DIGEST" else SHA256()
    made: bytes
    match algorithm:
        case "ED25519_SHA_512":
            if kind != "RAW":
                raise _refusal("Sign", "ValidationException")
            made = key.sign(message)
        case "ECDSA_SHA_256":
            made = key.sign(message, ec.ECDSA(digest))
        case "RSASSA_PKCS1_V1_5_SHA_256":
            made = key.sign(message, padding.PKCS1v15(), digest)
        case "RSASSA_PSS_SHA_256":
            made = key.sign(message, padding.PSS(padding.MGF1(SHA256()), SHA256.digest_size), digest)
        case _:
            raise AssertionError(algorithm)
    return made


def _refusal(operation: str, code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "told to nobody"}}, operation)
