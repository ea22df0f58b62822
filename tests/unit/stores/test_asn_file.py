"""Autonomous systems out of a file: found, not found, and files that are none."""

import sys
from ipaddress import ip_address
from pathlib import Path

import pytest

from ott_extauthz.bootstrap.inputs import check_inputs
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.settings import load
from ott_extauthz.stores import asn_file as asn_file_module
from ott_extauthz.stores.asn_file import AsnFileError, asn_lookup
from tests.fakes.asn_files import asn_file
from tests.fakes.issuer import FakeIssuer

RECORDS = {
    "192.0.2.0/24": {"autonomous_system_number": 64500, "autonomous_system_organization": "A"},
    "198.51.100.0/24": {"autonomous_system_organization": "none"},
    "203.0.113.0/24": {"autonomous_system_number": "64501"},
    "2001:db8::/32": {"autonomous_system_number": 64502},
}
OTT = """
trust: [{issuer: "https://issuer.bank.example", jwks: jwks.json, algorithms: [EdDSA]}]
policy: policy.yaml
"""
POLICY = """
revision: r1
routes:
  - {name: a, match: {path: /a}, credential: one_time_token, audience: a.api, constraints: {asn: 64500}}
"""


def written(folder: Path, raw: bytes) -> Path:
    path = folder / "asn.mmdb"
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize(
    ("address", "number"),
    [("192.0.2.1", 64500), ("192.0.3.1", None), ("198.51.100.1", None), ("203.0.113.1", None), ("2001:db8::1", 64502),
     ("2001:db9::1", None)],
)  # fmt: skip
def test_an_address_has_the_number_of_its_network(tmp_path: Path, address: str, number: int | None) -> None:
    assert asn_lookup(written(tmp_path, asn_file(RECORDS)))(ip_address(address)) == number


def test_a_file_of_ipv4_knows_no_ipv6(tmp_path: Path) -> None:
    only_v4 = {name: value for name, value in RECORDS.items() if ":" not in name}
    lookup = asn_lookup(written(tmp_path, asn_file(only_v4, ip_version=4)))
    assert lookup(ip_address("192.0.2.1")) == 64500
    assert lookup(ip_address("2001:db8::1")) is None


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    for raw in (b"", b"no such thing" * 100, asn_file(RECORDS)[:-150]):
        with pytest.raises(AsnFileError, match="MaxMind"):
            asn_lookup(written(tmp_path, raw))
    with pytest.raises(AsnFileError, match="autonomous systems"):
        asn_lookup(written(tmp_path, asn_file(RECORDS, kind="GeoLite2-City")))
    with pytest.raises(OSError, match="No such file"):
        asn_lookup(tmp_path / "absent.mmdb")


def test_a_file_beyond_its_bound_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asn_file_module, "MAX_BYTES", 100)
    with pytest.raises(AsnFileError, match="larger than 100"):
        asn_lookup(written(tmp_path, asn_file(RECORDS)))


def test_without_the_extra_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "maxminddb", None)
    with pytest.raises(AsnFileError, match=r"ott-extauthz\[geoip\]"):
        asn_lookup(written(tmp_path, asn_file(RECORDS)))


def test_a_policy_that_needs_networks_does_not_start_without_them(tmp_path: Path) -> None:
    (tmp_path / "jwks.json").write_bytes(FakeIssuer().jwks())
    (tmp_path / "policy.yaml").write_text(POLICY)
    config = tmp_path / "ott.yaml"
    config.write_text(OTT)
    with pytest.raises(DocumentError, match=r"route a: asks for the caller.s network.*no geoip"):
        check_inputs(load(config, {}), "ott.yaml")
    config.write_text(OTT + "geoip: {asn: asn.mmdb}\n")
    with pytest.raises(DocumentError, match=r"asn\.mmdb: cannot be read"):
        check_inputs(load(config, {}), "ott.yaml")
    written(tmp_path, b"x")
    with pytest.raises(DocumentError, match="MaxMind"):
        check_inputs(load(config, {}), "ott.yaml")
    written(tmp_path, asn_file(RECORDS))
    asn_of = check_inputs(load(config, {}), "ott.yaml").asn_of
    assert asn_of is not None
    assert asn_of(ip_address("192.0.2.1")) == 64500
