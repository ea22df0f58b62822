"""When do our own TLS certificates end?  Read from their files at each scrape, as new connections get them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol, Self

from cryptography import x509
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ott_extauthz.reload.bounded import bounded


class TlsFiles(Protocol):
    """The files of a listener."""

    @property
    def certificate(self) -> Path:
        """Its certificate, in PEM."""
        ...


class CertificateEnds(Collector):
    """One gauge; a file that cannot be read shows as 0, long past, and is not passed over in silence."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        """``files`` are the certificates, by the listener that shows them."""
        self._files = files

    @classmethod
    def of(cls, listener: str, tls: TlsFiles | None) -> Self:
        """Return the gauge of one listener, empty where it speaks no TLS."""
        return cls({} if tls is None else {listener: tls.certificate})

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield when each ends."""
        gauge = GaugeMetricFamily(
            "ott_tls_certificate_end_timestamp_seconds",
            "When the certificate of a listener ends; 0 where its file cannot be read.",
            labels=["listener"],
        )
        for listener, path in self._files.items():
            gauge.add_metric([listener], _end(path))
        yield gauge


def _end(path: Path) -> float:
    try:
        return x509.load_pem_x509_certificate(bounded(path)).not_valid_after_utc.timestamp()
    except (OSError, ValueError):
        return 0.0
