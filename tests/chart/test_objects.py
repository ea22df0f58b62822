"""What is made, how it is called, and who may reach it."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.chart.pods import pods
from tests.chart.rendering import named, objects, problems, value_sets

SETS = value_sets()
SHARED, ISSUER, HARDENED = (SETS[f"{name}-values"] for name in ("shared", "issuer", "hardened"))
LONG = "a-release-whose-name-is-as-long-as-helm-lets-it-be-53"


def of(values: dict[str, Any], kind: str, **release: Any) -> dict[str, dict[str, Any]]:
    release.setdefault("needed", {})
    return {one["metadata"]["name"]: one for one in objects(values, **release) if one["kind"] == kind}


def test_the_names_that_all_agree_on() -> None:
    services = of(ISSUER, "Service")
    assert set(services) == {f"pay-ott-extauthz{end}" for end in ("", "-headless", "-metrics", "-issuer")}
    (port,) = services["pay-ott-extauthz"]["spec"]["ports"]
    assert (port["name"], port["port"], port["appProtocol"]) == ("grpc-check", 9001, "grpc")
    assert services["pay-ott-extauthz-headless"]["spec"]["clusterIP"] == "None"
    assert services["pay-ott-extauthz-metrics"]["metadata"]["labels"]["ott-extauthz/metrics"] == "true"
    issuer = services["pay-ott-extauthz-issuer"]["spec"]["ports"]
    assert {port["name"]: port["port"] for port in issuer} == {"https-issuer": 9003, "admin": 9004, "grpc-issuer": 9005}


def test_envoys_see_a_pod_that_is_ready_and_prometheus_sees_all() -> None:
    services = of(SHARED, "Service")
    assert "publishNotReadyAddresses" not in services["pay-ott-extauthz-headless"]["spec"]
    assert services["pay-ott-extauthz-metrics"]["spec"]["publishNotReadyAddresses"] is True


def test_a_nodes_envoys_go_to_their_own_server() -> None:
    service = named(SETS["daemonset-values"], "Service", "pay-ott-extauthz", needed={})
    assert service["spec"]["internalTrafficPolicy"] == "Local"


@pytest.mark.parametrize("name", [LONG, "p", "ott-extauthz"])
def test_every_name_and_label_fits(name: str) -> None:
    assert len(LONG) == 53
    for values in (ISSUER, HARDENED, SETS["sidecar-values"]):
        made = objects(values, name=name, needed={})
        names = [(one["kind"], one["metadata"]["name"]) for one in made]
        assert len(set(names)) == len(names)
        assert all(len(called) <= 63 for _, called in names)
        labels = [one["metadata"]["labels"].values() for one in made]
        assert all(len(value) <= 63 for each in labels for value in each)


def test_two_releases_in_one_namespace_do_not_meet() -> None:
    """Also where their long names differ in the last letter only."""
    for one, other in (("pay", "bet"), (LONG, LONG[:-1] + "4")):
        for values in (ISSUER, HARDENED):
            names = [
                {(made["kind"], made["metadata"]["name"]) for made in objects(values, name=name, needed={})}
                for name in (one, other)
            ]
            assert names[0] & names[1] == set()
            selectors = [
                str(sorted(map(str, _selectors(objects(values, name=name, needed={}))))) for name in (one, other)
            ]
            assert selectors[0] != selectors[1]


def _selectors(made: list[dict[str, Any]]) -> Iterator[dict[str, str]]:
    for one in made:
        spec = one.get("spec", {})
        selector = spec.get("podSelector") or spec.get("selector")
        if selector:
            yield selector.get("matchLabels", selector)


@pytest.mark.parametrize("name", ["issuer-values", "hardened-values", "daemonset-values"])
def test_a_selector_selects_the_pods_of_one_component(name: str) -> None:
    labels = {pod.component: pod.metadata["labels"] for pod in pods(SETS[name])}
    for pod in of(SETS[name], "Pod").values():
        labels["test"] = pod["metadata"]["labels"]
    found = list(_selectors(objects(SETS[name], needed={})))
    assert found
    for selector in found:
        chosen = [component for component, own in labels.items() if selector.items() <= own.items()]
        assert chosen == [selector["app.kubernetes.io/component"]]


def test_labels_of_ones_own_are_on_everything_and_replace_none_of_ours() -> None:
    values = SHARED | {"commonLabels": {"team": "payments", "app.kubernetes.io/name": "mine"}}
    for one in objects(values, needed={}):
        assert one["metadata"]["labels"]["team"] == "payments"
        assert one["metadata"]["labels"]["app.kubernetes.io/name"] == "ott-extauthz"


def test_another_namespace() -> None:
    made = objects(ISSUER | {"namespaceOverride": "elsewhere"}, needed={})
    assert {one["metadata"]["namespace"] for one in made} == {"elsewhere"}
    certificate = named(SETS["cert-manager-values"] | {"namespaceOverride": "elsewhere"}, "Certificate", needed={})
    assert "pay-ott-extauthz.elsewhere.svc.cluster.local" in certificate["spec"]["dnsNames"]


def test_only_the_chosen_envoys_may_call() -> None:
    policy = of(SHARED, "NetworkPolicy")["pay-ott-extauthz"]["spec"]
    (rule,) = policy["ingress"]
    assert rule["ports"] == [{"port": "grpc-check", "protocol": "TCP"}]
    assert rule["from"] == SHARED["networkPolicy"]["envoys"]
    assert policy["policyTypes"] == ["Ingress"]


def test_the_admin_port_is_for_prometheus_alone() -> None:
    policy = of(HARDENED, "NetworkPolicy")["pay-ott-extauthz"]["spec"]
    (rule,) = [rule for rule in policy["ingress"] if rule["ports"][0]["port"] == "admin"]
    assert rule["from"] == HARDENED["networkPolicy"]["prometheus"]


def test_the_servers_get_out_to_their_store_dns_issuers_and_traces_alone() -> None:
    policy = of(HARDENED, "NetworkPolicy")["pay-ott-extauthz"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [[port["port"] for port in rule["ports"]] for rule in policy["egress"]] == [
        [53, 53, 5353, 5353], [6380], [443], [4317],
    ]  # fmt: skip
    assert all(rule["to"] for rule in policy["egress"])


@pytest.mark.parametrize(
    ("name", "ports"),
    [
        ("redis-sentinel-values", [26379, 6379]), ("redis-cluster-values", [6379]), ("postgresql-values", [5432]),
        ("redis-quorum-values", [6379]),
    ],
)  # fmt: skip
def test_the_stores_ports_follow_from_its_servers(name: str, ports: list[int]) -> None:
    values = SETS[name] | {"networkPolicy": SETS[name]["networkPolicy"] | {"egress": {"enabled": True}}}
    policy = of(values, "NetworkPolicy")["pay-ott-extauthz"]["spec"]
    assert [port["port"] for port in policy["egress"][1]["ports"]] == ports


def test_the_helm_test_opens_the_door_only_while_it_runs() -> None:
    policy = of(SHARED, "NetworkPolicy")["pay-ott-extauthz-test"]
    hooks = policy["metadata"]["annotations"]
    assert hooks["helm.sh/hook"] == "test"
    assert {"hook-succeeded", "hook-failed"} <= set(hooks["helm.sh/hook-delete-policy"].split(","))
    pod = of(SHARED, "Pod")["pay-ott-extauthz-test"]
    selector = policy["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
    assert selector.items() <= pod["metadata"]["labels"].items()
    assert pod["spec"]["containers"][0]["args"] == ["probe", "pay-ott-extauthz:9001", "--refuses"]


def test_the_helm_test_shows_a_certificate_where_one_is_asked_for() -> None:
    pod = of(SETS["cert-manager-values"], "Pod")["pay-ott-extauthz-test"]
    assert "--key=/ott/tls/tls.key" in pod["spec"]["containers"][0]["args"]
    assert of(SETS["cert-manager-values"] | {"tests": {"clientSecret": ""}}, "Pod") == {}


def test_the_check_servers_see_the_public_half_of_the_issuers_keys_alone() -> None:
    check = next(pod for pod in pods(ISSUER) if pod.component == "check")
    sources = [
        source for volume in check.spec["volumes"] for source in volume.get("projected", {}).get("sources", [])
        if source.get("secret", {}).get("name") == "ott-keys"
    ]  # fmt: skip
    assert sources == [{"secret": {"name": "ott-keys", "items": [{"key": "jwks.json", "path": "issuer/jwks.json"}]}}]
    assert [
        volume for volume in check.spec["volumes"] if volume.get("secret", {}).get("secretName") == "ott-keys"
    ] == []


def test_with_rings_the_keys_come_over_https_with_the_issuers_authority() -> None:
    config = yaml.safe_load(
        named(SETS["issuer-rings-values"], "ConfigMap", "pay-ott-extauthz", needed={})["data"]["ott.yaml"]
    )
    (trusted,) = config["trust"]
    assert trusted["jwks"] == "https://pay-ott-extauthz-issuer.auth.svc.cluster.local:9003/jwks"
    certificate = named(SETS["issuer-rings-values"], "Certificate", needed={})
    assert "pay-ott-extauthz-issuer.auth.svc.cluster.local" in certificate["spec"]["dnsNames"]


def test_keys_are_never_written_by_the_issuer() -> None:
    config = yaml.safe_load(named(ISSUER, "ConfigMap", "pay-ott-extauthz-issuer", needed={})["data"]["ott.yaml"])
    assert config["issuer"]["read_only"] is True


def test_no_token_of_kubernetes_is_mounted_unless_asked_for() -> None:
    for pod in pods(ISSUER):
        assert pod.spec["automountServiceAccountToken"] is False
    assert {one["automountServiceAccountToken"] for one in of(ISSUER, "ServiceAccount").values()} == {False}
    tokens = {pod.component: pod.spec["automountServiceAccountToken"] for pod in pods(SETS["issuer-vault-values"])}
    assert tokens == {"check": False, "issuer": True}


def test_an_audit_outlives_its_release() -> None:
    claim = named(HARDENED, "PersistentVolumeClaim", needed={})
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_an_account_of_ones_own() -> None:
    values = SHARED | {"serviceAccount": {"create": False, "name": "mine"}}
    assert of(values, "ServiceAccount") == {}
    assert pods(values)[0].spec["serviceAccountName"] == "mine"
    assert pods(SHARED | {"serviceAccount": {"create": False}})[0].spec["serviceAccountName"] == "default"


def test_words_that_yaml_reads_otherwise_stay_words() -> None:
    """A revision that looks like a date, a region that looks like a Boolean."""
    odd = {"a": "2026-11-22", "b": "NO", "c": "12:30", "d": "1e3", "e": "0777", "f": "", "g": "null", "h": "x: y # z"}
    (made,) = [one for one in objects(SHARED | {"config": odd}, needed={}) if "ott.yaml" in one.get("data", {})]
    assert odd.items() <= yaml.safe_load(made["data"]["ott.yaml"]).items()


def test_a_policys_text_stays_as_it_is() -> None:
    text = "# why\nrevision: '1'\nroutes:\n  - {name: a, when: 'request.path == \"{{ x }}\"'}\n"
    policy = named(SHARED | {"policy": {"inline": text}}, "ConfigMap", "pay-ott-extauthz-policy", needed={})
    assert policy["data"] == {"policy.yaml": text}


def test_objects_of_ones_own_are_templates() -> None:
    values = SETS["external-secrets-values"]
    assert set(of(values, "ExternalSecret")) == {"pay-store", "pay-api-keys"}
    assert problems(values | {"extraObjects": ["{{ .Values.nothing.at.all }}"]}) != ""
