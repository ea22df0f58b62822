"""When a listener's certificate ends, as a scrape sees it; a file that cannot be read is an alarm, not a gap."""

from pathlib import Path

from prometheus_client import CollectorRegistry

from ott_extauthz.demo.pki import Authority
from ott_extauthz.observe.certificate_ends import CertificateEnds


def test_the_file_as_it_is_now_counts(tmp_path: Path) -> None:
    path = tmp_path / "server.pem"
    registry = CollectorRegistry()
    registry.register(CertificateEnds({"check": path}))

    def shown() -> float | None:
        return registry.get_sample_value("ott_tls_certificate_end_timestamp_seconds", {"listener": "check"})

    assert shown() == 0, "there is no file"
    path.write_text("not a certificate")
    assert shown() == 0
    certificate = Authority("a").issue("server", server=True)
    path.write_bytes(certificate.certificate_pem)
    assert (shown() or 0) > 1_700_000_000


def test_a_listener_without_tls_has_no_certificate() -> None:
    assert [family.samples for family in CertificateEnds.of("check", None).collect()] == [[]]
