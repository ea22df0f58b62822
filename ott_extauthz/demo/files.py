"""What files does the demo run on?  Certificates and the four configurations, all in one temporary folder."""

import json
import ssl
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from string import Template
from typing import Final

from ott_extauthz.demo.calling import mutual_tls
from ott_extauthz.demo.pki import Authority

CONFIGURATIONS: Final = ("ott.yaml", "policy.yaml", "clients.yaml", "envoy.yaml")


def write_certificates(folder: Path) -> None:
    """Write an authority, the two servers' certificates, and those of a token's owner and of a thief."""
    folder.mkdir()
    authority = Authority("ott demo")
    authority.write(folder)
    authority.issue("gateway", server=True, ips=("127.0.0.1",)).write(folder, "gateway")
    authority.issue("issuer", server=True, ips=("127.0.0.1",)).write(folder, "issuer")
    authority.issue("rgs", uri="spiffe://bank.demo/rgs").write(folder, "rgs")
    # A real workload of the same bank, so Envoy lets it connect; it holds somebody else's token.
    authority.issue("thief", uri="spiffe://bank.demo/thief").write(folder, "thief")


def write_configurations(folder: Path, values: Mapping[str, object]) -> None:
    """Write the demo's configurations with their placeholders filled in."""
    for name in CONFIGURATIONS:
        template = resources.files("ott_extauthz.demo").joinpath(name).read_text(encoding="utf-8")
        (folder / name).write_text(Template(template).substitute(values), encoding="utf-8")


def quoted(value: str) -> str:
    """Return text as a YAML string, whatever it holds."""
    return json.dumps(value)


def caller(folder: Path, name: str) -> ssl.SSLContext:
    """Return the TLS context of one of the callers."""
    tls = folder / "tls"
    return mutual_tls(tls / "ca.pem", tls / f"{name}.pem", tls / f"{name}-key.pem")
