"""A workload's certificate that rotates is never taken halfway, nor before Envoy surely has it."""

from pathlib import Path

import pytest

from ott_extauthz.demo.pki import Authority
from ott_extauthz.wire.own_certificate import SETTLE_SECONDS, OwnCertificate, OwnCertificateError, read_certificate
from tests.fakes.clock import FakeClock

APP_A = "spiffe://bank.example/app-a"
AUTHORITY = Authority("own")
SETTLE_MS = int(SETTLE_SECONDS * 1000)


def put(path: Path, content: bytes) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    fresh.replace(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    put(tmp_path / "workload.pem", AUTHORITY.issue("a", uri=APP_A).certificate_pem)
    return tmp_path / "workload.pem"


def test_a_new_certificate_counts_once_it_has_settled(path: Path) -> None:
    clock = FakeClock()
    own, fresh = OwnCertificate(path, clock), AUTHORITY.issue("a", uri=APP_A)
    first = own.current.sha256
    assert not own.has_changed()
    put(path, fresh.certificate_pem)
    assert not own.has_changed()
    clock.advance(SETTLE_MS - 1)
    assert not own.has_changed()
    assert own.current.sha256 == first
    clock.advance(1)
    assert own.has_changed()
    assert own.current.sha256 == fresh.thumbprint
    assert not own.has_changed()


def test_a_file_caught_in_the_middle_changes_nothing_and_is_looked_at_again(path: Path) -> None:
    clock = FakeClock()
    own, fresh = OwnCertificate(path, clock), AUTHORITY.issue("a", uri=APP_A)
    put(path, fresh.certificate_pem[:100])
    own.has_changed()
    clock.advance(SETTLE_MS)
    assert not own.has_changed()
    put(path, fresh.certificate_pem)
    own.has_changed()
    clock.advance(SETTLE_MS)
    assert own.has_changed()
    assert own.current.spiffe_id == APP_A


def test_a_file_that_is_only_touched_is_no_new_certificate(path: Path) -> None:
    clock = FakeClock()
    own = OwnCertificate(path, clock)
    put(path, path.read_bytes())
    own.has_changed()
    clock.advance(SETTLE_MS)
    assert not own.has_changed()


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_refused_at_the_start(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pem").write_bytes(content)
    with pytest.raises(OwnCertificateError, match="not a PEM certificate"):
        read_certificate(tmp_path / "x.pem")
    with pytest.raises(OwnCertificateError, match="No such file"):
        read_certificate(tmp_path / "y.pem")


def test_a_malformed_spiffe_id_names_nobody(tmp_path: Path) -> None:
    put(tmp_path / "x.pem", AUTHORITY.issue("a", uri="spiffe://bank.example").certificate_pem)
    with pytest.raises(OwnCertificateError, match="names"):
        read_certificate(tmp_path / "x.pem")
