"""Tracing is configured in one place, within bounds, and sends no secret in the clear."""

import pytest

from ott_extauthz.documents.located import read_yaml
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.documents.validated import validated
from ott_extauthz.sections.tracing import Tracing
from ott_extauthz.settings import Settings

COLLECTOR = "http://otel-collector.monitoring:4317"


def read(text: str) -> Tracing:
    return validated(read_yaml(text, "ott.yaml"), Tracing)


def test_tracing_is_off_by_default() -> None:
    assert Settings().tracing is None


def test_with_an_endpoint_alone_only_what_envoy_traces_is_traced() -> None:
    """A client that writes `traceparent: …-01` cannot have us trace a thing."""
    settings = read(f"endpoint: {COLLECTOR}")
    assert (settings.ratio, settings.parent, settings.followed_per_second) == (0, "envoy", 100)
    assert (settings.address, settings.is_tls) == ("otel-collector.monitoring:4317", False)


@pytest.mark.parametrize(
    "endpoint",
    ["http://user:hunter2@collector:4317", "collector:4317", "http://collector", "http://collector:4317/v1/traces",
     "http://collector:0", "http://collector:65536", "http://collector:4317\n", "unix:///run/hunter2.sock",
     "grpc://collector:4317", "http://-collector:4317", "http://:4317", "https://collector:4317#hunter2"],
)  # fmt: skip
def test_what_is_no_collector_is_refused_and_not_repeated(endpoint: str) -> None:
    with pytest.raises(DocumentError) as refused:
        read(f'endpoint: "{endpoint.encode("unicode_escape").decode()}"')
    assert "a collector is written http://host:port" in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("endpoint", ["https://[::1]:4317", "https://collector.example:4317", "http://127.0.0.1:4317"])
def test_a_collector_has_a_scheme_a_host_and_a_port(endpoint: str) -> None:
    assert read(f'endpoint: "{endpoint}"').endpoint == endpoint


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("ratio: 1.1", "less than or equal to 1"),
        ("ratio: -0.1", "greater than or equal to 0"),
        ("ratio: .nan", "ratio"),
        ("ratio: true", "ratio"),
        ("parent: follow", "parent"),
        ("followed_per_second: 0", "followed_per_second"),
        ("queue: 10", "queue"),
        ("{batch: 4096, queue: 64}", "batch is at most queue"),
        ("timeout: 5m", "between 10ms and 60s"),
        ("every: 0s", "between 10ms and 60s"),
        ("ca: ca.pem", "are for TLS"),
        ("{certificate: a.pem, key: b.pem}", "are for TLS"),
        ("headers_file: headers", "headers_file holds secrets"),
        ("headers: {authorization: Bearer hunter2}", "did you mean 'headers_file'"),
        ('resource: {"a b": c}', "resource"),
        ('resource: {a: "b\\nc"}', "resource"),
    ],
)
def test_what_is_out_of_bounds_is_refused(more: str, why: str) -> None:
    lines = more.strip("{}").split(", ") if more.startswith("{") else [more]
    with pytest.raises(DocumentError) as refused:
        read("\n".join([f"endpoint: {COLLECTOR}", *lines]))
    assert why in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_certificate_comes_with_its_key() -> None:
    with pytest.raises(DocumentError, match="certificate and key go together"):
        read("endpoint: https://collector:4317\ncertificate: a.pem")


def test_headers_may_go_to_this_machine_in_the_clear() -> None:
    assert read("endpoint: http://127.0.0.1:4317\nheaders_file: headers").headers_file is not None
