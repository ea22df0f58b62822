"""What do the value sets name that the chart does not make?  Secrets and ConfigMaps of somebody else, by name."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.stores.keyring import Place, init_ring
from tests.chart.kubelet import Files
from tests.fakes.certificates import Authority

SECRET_TEXTS = ("a-password-of-the-store", "a-password-of-the-sentinels", "a-passphrase-of-the-keys")
"""Nothing but a mounted Secret may hold one of these."""

TRACES_KEY: Final = "a-key-of-the-collector"

_API_KEYS = "keys: []\n"


@cache
def secrets() -> dict[str, Files]:
    """Return other people's Secrets."""
    store, sentinels, passphrase = SECRET_TEXTS
    pair = _pair()
    return {
        "ott-store": {"password": store, "sentinel": sentinels},
        "pay-store": {"password": store},
        "pay-api-keys": {"api-keys.yaml": _API_KEYS},
        "ott-keys": _ring(),
        "pay-keys-eu-a": _ring(),
        "ott-keys-passphrase": {"passphrase": passphrase},
        "otlp": {"headers": f"authorization: Bearer {TRACES_KEY}\n", **pair},
        **dict.fromkeys(_OF_TLS, pair),
    }


@cache
def config_maps() -> dict[str, Files]:
    """Return other people's ConfigMaps."""
    authority = {"ca.crt": _authority().pem}
    policy = "revision: '1'\nroutes: [{name: health, match: {path: /healthz}, credential: public}]\n"
    return {
        "stores-ca": authority,
        "envoys-ca": authority,
        "clients-ca": authority,
        "issuer-keys": {"jwks.json": _ring()["jwks.json"]},
        "pay-policy": {"policy.yaml": policy},
    }


_OF_TLS = (
    "stores-tls", "stores-client", "ott-tls", "envoys-ca", "issuer-tls", "ott-probe-tls",
    "pay-ott-extauthz-tls", "pay-ott-extauthz-issuer-tls",
)  # fmt: skip
"""The last two are cert-manager's work."""


def another_jwks() -> bytes:
    """Return a JWK Set that nobody has seen before."""
    keys: bytes = _ring()["jwks.json"]
    return keys


@cache
def _authority() -> Authority:
    return Authority()


def _pair() -> dict[str, bytes]:
    leaf = _authority().leaf()
    return {"tls.crt": leaf.pem, "tls.key": leaf.key_pem, "ca.crt": _authority().pem}


def _ring() -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        init_ring(Place(directory=Path(folder) / "keys"), algorithm="EdDSA", now_ms=SystemClock().now_ms())
        return {path.name: path.read_bytes() for path in (Path(folder) / "keys").iterdir() if path.suffix != ".lock"}
