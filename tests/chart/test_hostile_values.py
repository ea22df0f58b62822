"""Values that the schema takes and nobody meant: what they render is valid and safe, or refused with a reason."""

import copy
import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
import yaml

from tests.chart.kinds import misfits
from tests.chart.notes import notes, snippets
from tests.chart.pods import Pod, pods
from tests.chart.rendering import CHART, named, objects, problems, value_sets

SETS: Final = value_sets()
SHARED, ISSUER, SIDECAR, HARDENED, DAEMONS, MANAGED = (
    SETS[f"{name}-values"] for name in ("shared", "issuer", "sidecar", "hardened", "daemonset", "cert-manager")
)
SCHEMA: Final = json.loads((CHART / "values.schema.json").read_text())
DEFAULTS: Final = yaml.load((CHART / "values.yaml").read_text(), Loader=yaml.CSafeLoader)
MESH: Final[dict[str, Any]] = {"enabled": True, "renderMode": "alwaysRender"}
TARGET: Final = {"name": "a", "namespace": "auth", "kind": "sidecar", "selector": {"tier": "auth"}}


def over(values: Any, more: dict[str, Any]) -> dict[str, Any]:
    """Lay values over others, as Helm does it."""
    laid = copy.deepcopy(values) if isinstance(values, dict) else {}
    for key, value in more.items():
        laid[key] = over(laid.get(key), value) if isinstance(value, dict) else value
    return laid


def refusal(values: dict[str, Any], more: dict[str, Any]) -> str:
    return problems(over(values, more), needed={})


# --- words that YAML reads otherwise


@pytest.mark.parametrize("word", ["08", "true", "1e3"])
def test_a_name_that_looks_like_a_number_or_a_truth_stays_a_name(word: str) -> None:
    values = over(
        {**HARDENED, "config": {}},
        {
            "fullnameOverride": "no", "namespaceOverride": word, "nameOverride": word, "priorityClassName": word,
            "runtimeClassName": word, "serviceAccount": {"name": word}, "secrets": {"mine": {"existingSecret": word}},
            "store": {"password": {"existingSecret": word, "key": word}}, "tests": {"clientSecret": word},
            "policy": {"existingConfigMap": word}, "audit": {"storageClassName": word},
            "trust": [{"issuer": "https://i", "algorithms": ["EdDSA"], "jwks": {"configMap": word, "key": word}}],
            "metrics": {"serviceMonitor": {"enabled": True, "renderMode": "alwaysRender", "namespace": word}},
            "istio": MESH | {
                "provider": word, "mutualTls": False, "destinationRule": False,
                "targets": [{"name": word, "namespace": word + "0", "kind": "sidecar", "selector": {"app": word}}],
            },
        },
    )  # fmt: skip
    made = objects(values, name=word, needed={})
    assert [said for one in made for said in misfits(one, versions=("1.33",))] == []


@pytest.mark.parametrize("count", ["replicaCount", "revisionHistoryLimit", "minReadySeconds"])
def test_a_large_number_is_a_whole_one(count: str) -> None:
    made = named(SHARED | {count: 1_000_000}, "Deployment", needed={})
    assert misfits(made, versions=("1.33",)) == []


def test_openshifts_large_group_owns_the_socket() -> None:
    """Helm reads numbers as floats, and writes this one as 1.00065e+09."""
    (pod,) = pods(over(SIDECAR, {"sidecar": {"groupId": 1_000_650_000}}))
    assert pod.spec["securityContext"]["fsGroup"] == 1_000_650_000
    assert pod.server["securityContext"]["runAsGroup"] == 1_000_650_000


@pytest.mark.parametrize(
    "text",
    ["  a: 1\nb: 2\n", "a: 1\r\nb: 2\r\n", "a: 1", "\n\n  a: 1\n", "a: 1\nother.yaml: |\n  b: 2\n", ""],
    ids=["indented", "windows", "no-end", "begins-empty", "looks-like-a-key", "empty"],
)
def test_no_text_of_a_policy_breaks_out_of_its_file(text: str) -> None:
    made = named(SHARED | {"policy": {"inline": text}}, "ConfigMap", "pay-ott-extauthz-policy", needed={})
    assert made["data"] == {"policy.yaml": text}


# --- null takes a default away


def taken_away(part: dict[str, Any], defaults: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    name = part.get("$ref", "").removeprefix("#/$defs/")
    part = SCHEMA["$defs"][name] if name else part
    may_be_null = {name for name, one in part.get("properties", {}).items() if {"type": "null"} in one.get("anyOf", [])}
    for key in part.get("properties", {}).keys() & defaults.keys():
        if key not in may_be_null and key not in part.get("required", []):
            yield (*place, key)
        if isinstance(defaults[key], dict):
            yield from taken_away(part["properties"][key], defaults[key], (*place, key))


def test_nothing_with_a_default_may_be_taken_away() -> None:
    """`networkPolicy.enabled: null` or an upgrade with old values would switch it off, and say nothing."""
    assert list(taken_away(SCHEMA, DEFAULTS)) == []


@pytest.mark.parametrize(
    "more",
    [
        {"networkPolicy": {"enabled": None}}, {"tls": {"clientAuth": None}}, {"audit": {"required": None}},
        {"config": None}, {"policy": None}, {"probes": {"liveness": None}}, {"podSecurityContext": None},
    ],
    ids=["open-network", "no-client-auth", "no-audit", "config", "policy", "probe", "privileges"],
)  # fmt: skip
def test_null_switches_nothing_off_in_silence(more: dict[str, Any]) -> None:
    assert "missing propert" in refusal(SHARED, more)


# --- what would not install, or would never work


REFUSED: Final[dict[str, tuple[dict[str, Any], dict[str, Any], str]]] = {
    "password-in-the-config-map": (SHARED, {"store": {"servers": ["ott:hunter2@valkey:6379"]}}, "store/servers"),
    "image-that-is-a-key": (SHARED, {"image": {"tag": "1\n  privileged: true"}}, "/image/tag"),
    "host-without-brackets": (SHARED, {"listen": {"host": "::"}}, "/listen/host"),
    "label-that-is-none": (SHARED, {"podLabels": {"a": "b c"}}, "/podLabels/a"),
    "budget-of-all": (SHARED, {"podDisruptionBudget": {"minAvailable": 2}}, "podDisruptionBudget.minAvailable: of 2"),
    "budget-of-none": (SHARED, {"podDisruptionBudget": {"maxUnavailable": 0}}, "podDisruptionBudget.maxUnavailable"),
    "no-budget": (SHARED, {"podDisruptionBudget": {"maxUnavailable": None}}, "podDisruptionBudget: one of"),
    "budget-of-all-issuers": (
        ISSUER, {"issuer": {"podDisruptionBudget": {"minAvailable": "100%"}}}, "issuer.podDisruptionBudget.min",
    ),
    "scaling-by-a-share-of-nothing": (
        SHARED, {"autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": None}}}, "resources.requests.cpu",
    ),
    "scaling-backwards": (SHARED, {"autoscaling": {"enabled": True, "minReplicas": 11}}, "autoscaling.minReplicas"),
    "daemon-set-recreated": (DAEMONS, {"updateStrategy": {"type": "Recreate"}}, "updateStrategy.type: a DaemonSet"),
    "deployment-on-delete": (SHARED, {"updateStrategy": {"type": "OnDelete"}}, "updateStrategy.type: a Deployment"),
    "rollout-that-waits-for-its-own-disk": (
        SHARED,
        {"replicaCount": 1, "audit": {"volume": "persistentVolumeClaim", "accessModes": ["ReadWriteOnce"]}},
        "audit.accessModes: a new pod waits",
    ),
    "two-authorities-of-the-server": (
        SHARED, {"envoyGateway": {"backendTls": {"ca": {"configMap": "a", "secret": "b"}}}}, "backendTls.ca: one of",
    ),
    "check-for-the-world": (SHARED, {"service": {"type": "LoadBalancer"}}, "service.type: LoadBalancer"),
    "check-for-anybody-with-tls": (
        MANAGED, {"service": {"type": "NodePort"}, "tls": {"clientAuth": False}}, "service.type: NodePort",
    ),
    "tls-in-tls": (MANAGED, {"istio": MESH}, "tls.enabled: in a mesh"),
    "certificate-rule-behind-its-back": (
        SHARED, {"extraEnv": [{"name": "OTT_CLIENT_CERTIFICATE__SOURCE", "value": "xfcc"}]}, "extraEnv: OTT_CLIENT_",
    ),
    "drain-behind-it": (SHARED, {"extraEnv": [{"name": "OTT_DRAIN__WAIT", "value": "9m"}]}, "extraEnv: OTT_DRAIN"),
    "risk-in-a-secret": (
        SHARED, {"secrets": {"a": {"files": {"clients.yaml": "unbound: accept the risk"}}}}, "acceptedRisks: unbound",
    ),
    "ring-of-that-name": (ISSUER, {"issuer": {"rings": {"default": {"existingSecret": "a"}}}}, "rings.default"),
    "monitor-of-no-service": (
        SHARED, {"adminService": {"enabled": False}, "metrics": {"serviceMonitor": {"enabled": True}}}, "no Service",
    ),
    "monitor-of-sidecars": (SIDECAR, {"metrics": {"serviceMonitor": {"enabled": True}}}, "there is no Service for"),
    "pod-monitor-of-nobody": (SIDECAR, {"metrics": {"podMonitor": {"enabled": True}}}, "podMonitor.selector: required"),
    "scrape-that-takes-too-long": (SHARED, {"metrics": {"podMonitor": {"interval": "5s"}}}, "podMonitor.scrapeTimeout"),
    "check-that-guards-itself": (
        SHARED,
        {
            "podLabels": {"tier": "auth"},
            "istio": MESH | {"targets": [TARGET]},
        },
        "matches the Check server itself",
    ),
    "target-in-the-place-of-callers": (
        SHARED,
        {"istio": MESH | {"targets": [TARGET | {"name": "callers"}]}},
        "choose another name",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_with_its_reason(name: str) -> None:
    values, more, told = REFUSED[name]
    assert told in refusal(values, more)


# --- who gets which secret


def of(values: dict[str, Any]) -> dict[str, Pod]:
    return {pod.component: pod for pod in pods(values)}


def secrets_of(pod: Pod) -> set[str]:
    return {name.removeprefix("ott-secret-") for one in pod.spec["volumes"] if "-secret-" in (name := one["name"])}


def test_no_server_gets_the_secrets_of_the_other() -> None:
    values = over(
        ISSUER,
        {
            "secrets": {name: {"existingSecret": name} for name in ("keys", "sealed", "otlp", "named-by-a-file")}
            | {"told": {"existingSecret": "told", "for": ["issuer"]}},
            "config": {
                "api_keys": {"file": "/ott/secrets/keys/api-keys.yaml"},
                "tracing": {"endpoint": "https://otel:4317", "headers_file": "/ott/secrets/otlp/headers"},
            },
            "issuer": {"config": {"encryption": {"wallet": "/ott/secrets/sealed/jwk.json"}}},
        },
    )
    found = of(values)
    assert secrets_of(found["check"]) == {"keys", "otlp", "named-by-a-file"}
    assert secrets_of(found["issuer"]) == {"sealed", "otlp", "told"}


def test_no_annotation_of_ones_own_hides_a_changed_configuration() -> None:
    own = {"checksum/config": "always", "kubectl.kubernetes.io/default-container": "shipper", "a": "b"}
    found = of(SHARED | {"podAnnotations": own})["check"].metadata["annotations"]
    assert found["a"] == "b"
    assert found["checksum/config"] != "always"
    assert found["kubectl.kubernetes.io/default-container"] == "ott-extauthz"


# --- who is reached from where


DNS: Final = [53, 53, 5353, 5353]


def egress(values: dict[str, Any], name: str = "pay-ott-extauthz") -> list[int]:
    policy = named(values, "NetworkPolicy", name, needed={})
    return [port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]]


def test_no_network_policy_locks_a_server_out_of_what_its_settings_name() -> None:
    closed = {"networkPolicy": {"egress": {"enabled": True}}}
    trust = [{"issuer": "https://i", "algorithms": ["EdDSA"], "jwks": "https://keys.example:8443/jwks"}]
    asked = {"introspection": [{"endpoint": "https://[fd00::1]:9443/introspect"}]}
    traces = {"tracing": {"endpoint": "http://otel.monitoring.svc:4317"}}
    told = closed | {"trust": trust, "config": asked | traces}
    assert egress(over(SHARED, told)) == [*DNS, 6379, 443, 8443, 9443, 4317]
    assert egress(over(SETS["issuer-vault-values"], closed), "pay-ott-extauthz-issuer") == [*DNS, 6379, 443, 8200]
    assert egress(over(SHARED, closed)) == [*DNS, 6379, 443]


def test_nobody_outside_the_cluster_reads_the_issuers_metrics() -> None:
    values = over(ISSUER, {"issuer": {"service": {"type": "LoadBalancer"}}})
    outside = named(values, "Service", "pay-ott-extauthz-issuer", needed={})
    assert [port["port"] for port in outside["spec"]["ports"]] == [9003, 9005]
    assert "ott-extauthz/metrics" not in outside["metadata"]["labels"], "a ServiceMonitor would look for the port there"
    inside = named(values, "Service", "pay-ott-extauthz-issuer-metrics", needed={})
    assert [port["port"] for port in inside["spec"]["ports"]] == [9004]
    assert inside["metadata"]["labels"]["ott-extauthz/metrics"] == "true"
    assert inside["spec"]["type"] == "ClusterIP"


def test_a_server_that_speaks_tls_is_not_said_to_speak_in_the_clear() -> None:
    (port,) = named(MANAGED, "Service", "pay-ott-extauthz", needed={})["spec"]["ports"]
    assert port["appProtocol"] == "https"
    (cluster,) = snippets(MANAGED)["cluster"]
    tls = cluster["transport_socket"]["typed_config"]
    exact = tls["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"][0]["matcher"]["exact"]
    certificate = named(MANAGED, "Certificate", "pay-ott-extauthz-tls", needed={})
    assert tls["sni"] == exact
    assert exact in certificate["spec"]["dnsNames"]
    assert tls["common_tls_context"]["tls_certificates"]


# --- how pods come and go


def test_the_last_spans_are_sent_before_the_pod_is_killed() -> None:
    traced = {"config": {"tracing": {"endpoint": "http://otel:4317"}}}
    assert of(SHARED | traced)["check"].spec["terminationGracePeriodSeconds"] == 22
    assert "take 17 s" in problems(SHARED | traced | {"terminationGracePeriodSeconds": 17})


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet"])
def test_a_new_pod_is_found_before_the_next_one_leaves(kind: str) -> None:
    values = ISSUER | {"kind": kind}
    specs = [one["spec"] for one in objects(values, needed={}) if one["kind"] in ("Deployment", "DaemonSet")]
    assert [spec["minReadySeconds"] for spec in specs] == [5, 5]


def test_an_image_of_a_closed_registry_is_pulled_beside_envoy_too() -> None:
    (pod,) = pods(SIDECAR | {"imagePullSecrets": [{"name": "registry"}]})
    assert pod.spec["imagePullSecrets"] == [{"name": "registry"}]


def test_dashboards_of_two_long_releases_do_not_meet() -> None:
    long = "a-release-whose-name-is-as-long-as-helm-lets-it-be-53"
    values = {"metrics": {"grafanaDashboard": {"enabled": True}}}
    one, other = (
        {made["metadata"]["name"] for made in objects(values, name=name) if "-dashboard-" in made["metadata"]["name"]}
        for name in (long, long[:-1] + "4")
    )
    assert one
    assert one & other == set()


def test_an_audit_on_the_output_needs_no_volume_and_rotates_nothing() -> None:
    values = over(SHARED, {"audit": {"volume": "stdout"}})
    config = yaml.safe_load(named(values, "ConfigMap", "pay-ott-extauthz", needed={})["data"]["ott.yaml"])
    assert config["audit"] == {"path": "-", "required": True}
    assert "ott-audit" not in {one["name"] for one in of(values)["check"].spec["volumes"]}
    assert "audit.rotate: is for files" in refusal(values, {"audit": {"rotate": {"keep": 3}}})


def test_files_of_the_audit_are_closed_where_the_values_say_so() -> None:
    values = over(ISSUER, {"audit": {"rotate": {"size": "100MiB", "keep": 3}}})
    for name in ("pay-ott-extauthz", "pay-ott-extauthz-issuer"):
        config = yaml.safe_load(named(values, "ConfigMap", name, needed={})["data"]["ott.yaml"])
        assert config["audit"]["rotate"] == {"size": "100MiB", "keep": 3}


def test_an_authority_that_signs_more_than_envoys_is_told() -> None:
    """An internal authority signs for everybody, and each of them could burn tokens."""
    for authority, is_told in (("", True), ("envoys-ca", False)):
        own = {"tls": {"clientCa": {"secret": authority, "configMap": ""}}}
        assert ("counts as an Envoy" in notes(over(MANAGED, own))) is is_told
    assert "counts as an Envoy" not in notes(SHARED)


def test_what_weakens_is_told_in_the_notes() -> None:
    assert "forgets what was spent" in notes(SETS["memory-values"])
    assert "Know what you have installed" not in notes(HARDENED)


def test_a_rule_for_certificates_that_stands_against_the_printed_one_is_told() -> None:
    for own, is_told in (({"source": "peer"}, False), ({"source": "xfcc", "exact_hops": True}, True)):
        told = notes(over(SHARED, {"config": {"client_certificate": own}}))
        assert ("counts instead: compare the two" in told) is is_told
    assert "counts instead" not in notes(SHARED)
