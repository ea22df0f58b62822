"""Clusters that are not the author's: GitOps, Pod Security, OpenShift, IPv6, ambient meshes, closed registries."""

import re
from typing import Any, Final

import pytest
from helm_python import Chart

from tests.chart.kinds import misfits
from tests.chart.notes import notes
from tests.chart.pods import pods
from tests.chart.rendering import CHART, NAMESPACE, RELEASE, named, objects, problems, render, value_sets

SETS: Final = value_sets()
SHARED, ISSUER, HARDENED = (SETS[f"{name}-values"] for name in ("shared", "issuer", "hardened"))
CLOSED: Final[dict[str, Any]] = {"networkPolicy": SHARED["networkPolicy"] | {"egress": {"enabled": True}}}
HBONE: Final = {"port": 15008, "protocol": "TCP"}


def mesh(**settings: Any) -> dict[str, Any]:
    return {"istio": {"enabled": True, "renderMode": "alwaysRender", **settings}}


def policy(values: dict[str, Any], name: str = "pay-ott-extauthz") -> dict[str, Any]:
    made: dict[str, Any] = named(values, "NetworkPolicy", name, needed={})["spec"]
    return made


# --- rendered by somebody who asks no cluster


def test_the_same_values_make_the_same_objects() -> None:
    """What differs from one rendering to the next is installed again at each look of Argo CD or Flux."""
    with Chart.load(str(CHART)) as chart:
        again = chart.render(ISSUER, name=RELEASE, namespace=NAMESPACE)
    assert {path.partition("/")[2]: text for path, text in again.items()} == render(ISSUER, needed={})


def test_no_template_throws_dice_or_looks_at_the_clock() -> None:
    dice = re.compile(r"\b(rand[A-Z]\w*|gen[A-Z]\w*|uuidv4|shuffle|now|ago|htpasswd|bcrypt|derivePassword)\b")
    templates = [path for path in (CHART / "templates").rglob("*") if path.is_file()]
    code = [action for path in templates for action in re.findall(r"{{.*?}}", path.read_text(), re.DOTALL)]
    code = [re.sub(r'"[^"]*"|/\*.*?\*/', "", action, flags=re.DOTALL) for action in code]
    assert len(code) > 100
    assert [action for action in code if dice.search(action)] == []


@pytest.mark.parametrize("section", ["istio", "envoyGateway"])
def test_a_rendering_without_a_cluster_does_not_leave_the_guard_out(section: str) -> None:
    """Without its policy nothing is asked, and everything is let through: that must not happen in silence."""
    told = problems({section: {"enabled": True}})
    assert f"{section}: the cluster does not have" in told
    assert "renderMode alwaysRender, or give Helm --api-versions" in told


@pytest.mark.parametrize("name", ["istio-gateway-values", "envoy-gateway-values"])
def test_the_notes_do_not_say_that_something_is_installed_which_was_skipped(name: str) -> None:
    values = value_sets()[name]
    section = "istio" if "istio" in values else "envoyGateway"
    assert "nothing is checked" not in notes(values)
    values[section]["renderMode"] = "skipIfMissing"
    assert "INSTALLED, and nothing is checked: the cluster does not have" in notes(values)


def test_argo_cd_does_not_prune_an_audit() -> None:
    """It renders by itself, and knows nothing of Helm's word for it."""
    annotations = named(HARDENED, "PersistentVolumeClaim", needed={})["metadata"]["annotations"]
    options = annotations["argocd.argoproj.io/sync-options"].split(",")
    assert set(options) == {"Delete=false", "Prune=false"}


# --- versions


@pytest.mark.parametrize(
    ("version", "name", "is_refused"),
    [("v1.28.15", "sidecar", True), ("v1.29.0", "sidecar", False), ("v1.28.15", "sidecar-classic", False)],
)
def test_no_pod_waits_for_a_sidecar_that_an_old_kubelet_takes_for_an_init_container(
    version: str, name: str, *, is_refused: bool
) -> None:
    scope = f'(dict "Values" .Values "Capabilities" (dict "KubeVersion" (dict "Version" "{version}")))'
    said = f'{{{{ include "ott.mistakesOfPods" {scope} | toJson }}}}'
    text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: told}, data: {told: TOLD}}".replace("TOLD", said)
    told = named(SETS[f"{name}-values"] | {"extraObjects": [text]}, "ConfigMap", "told", needed={})["data"]["told"]
    assert ("sidecar.native: Kubernetes v1.28.15 would wait" in told) is is_refused


# --- Pod Security


def test_the_helm_test_runs_where_pods_are_restricted() -> None:
    spec = named(SHARED, "Pod", needed={})["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_openshift_chooses_the_helm_tests_ids_too() -> None:
    spec = named(SETS["openshift-values"], "Pod", needed={})["spec"]
    assert not {"runAsUser", "runAsGroup", "fsGroup"} & spec["securityContext"].keys()


def test_the_helm_test_gets_out_of_a_namespace_that_denies_by_default() -> None:
    pod = named(SHARED, "Pod", needed={})
    made = policy(SHARED, "pay-ott-extauthz-test-egress")
    assert made["policyTypes"] == ["Egress"]
    assert made["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    dns, server = made["egress"]
    assert dns == policy(SHARED | CLOSED)["egress"][0]
    (to,) = server["to"]
    assert to["podSelector"] == policy(SHARED)["podSelector"]
    assert server["ports"] == [{"port": "grpc-check", "protocol": "TCP"}]
    assert (
        "helm.sh/hook"
        in named(SHARED, "NetworkPolicy", "pay-ott-extauthz-test-egress", needed={})["metadata"]["annotations"]
    )


def test_there_is_no_helm_test_that_the_mesh_would_keep_out() -> None:
    """It is none of `callers`, and would say of a good installation that it is broken."""
    made = objects(SHARED | mesh(callers=["cluster.local/ns/edge/sa/gateway"]), needed={})
    assert [one["kind"] for one in made if one["metadata"]["name"].startswith("pay-ott-extauthz-test")] == []


# --- DNS


def test_names_are_found_in_openshift_and_by_a_nodes_own_cache() -> None:
    """OpenShift's pods listen on 5353, and a cache in the node's network is no pod that a selector could name."""
    dns = policy(SHARED | CLOSED)["egress"][0]
    assert [(one["port"], one["protocol"]) for one in dns["ports"]] == [
        (53, "UDP"), (53, "TCP"), (5353, "UDP"), (5353, "TCP"),
    ]  # fmt: skip
    namespaces = {
        one["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        for one in dns["to"]
        if "namespaceSelector" in one
    }
    assert namespaces == {"kube-system", "openshift-dns"}
    assert {"ipBlock": {"cidr": "169.254.20.10/32"}} in dns["to"]


def test_dns_of_ones_own() -> None:
    own = {"to": [{"ipBlock": {"cidr": "10.0.0.10/32"}}], "ports": [1053]}
    closed = CLOSED["networkPolicy"] | {"egress": {"enabled": True, "dns": own}}
    dns = policy(SHARED | {"networkPolicy": closed})["egress"][0]
    assert dns["to"] == own["to"]
    assert {one["port"] for one in dns["ports"]} == {1053}
    closed["egress"]["dns"] = {"ports": []}
    assert "/networkPolicy/egress/dns/ports" in problems(SHARED | {"networkPolicy": closed}), (
        "no port would be every port"
    )


# --- IPv6


@pytest.mark.parametrize("families", [["IPv6"], ["IPv6", "IPv4"]], ids=["ipv6", "dual-stack"])
def test_every_service_is_of_the_family_that_is_said(families: list[str]) -> None:
    said = {"ipFamilyPolicy": "SingleStack" if len(families) == 1 else "RequireDualStack", "ipFamilies": families}
    issuer = ISSUER["issuer"] | {"service": {"type": "LoadBalancer"}}
    made = objects(ISSUER | {"issuer": issuer, "service": said, "listen": {"host": "[::]"}}, needed={})
    services = [one for one in made if one["kind"] == "Service"]
    assert len(services) == 5
    assert [said for one in services for said in misfits(one)] == []
    assert all(said.items() <= one["spec"].items() for one in services)
    plain = [one for one in objects(SHARED, needed={}) if one["kind"] == "Service"]
    assert [one for one in plain if {"ipFamilies", "ipFamilyPolicy"} & one["spec"].keys()] == []


@pytest.mark.parametrize("said", [{"ipFamilies": ["IPv6"]}, {"ipFamilyPolicy": "PreferDualStack"}], ids=["v6", "dual"])
def test_no_service_leads_to_an_address_that_nobody_listens_on(said: dict[str, Any]) -> None:
    assert "listen.host: 0.0.0.0 is IPv4 alone, and service.ipFamilies" in problems(SHARED | {"service": said})
    assert problems(SHARED | {"service": said, "listen": {"host": "[::]"}}) == ""


# --- ambient


def test_tunnels_and_probes_of_an_ambient_mesh_reach_the_servers() -> None:
    """A NetworkPolicy sees the tunnel's port, and the kubelet by an address that is Istio's."""
    prometheus: dict[str, Any] = {"prometheus": [{"podSelector": {}}]}
    values = ISSUER | {"networkPolicy": CLOSED["networkPolicy"] | prometheus} | mesh(ambient=True)
    for name in ("pay-ott-extauthz", "pay-ott-extauthz-issuer"):
        made = named(values, "NetworkPolicy", name, needed={})
        assert misfits(made, versions=("1.33",)) == []
        *others, probes = made["spec"]["ingress"]
        assert others
        assert all(HBONE in rule["ports"] for rule in others)
        assert {one["ipBlock"]["cidr"].partition("/")[0] for one in probes["from"]} == {
            "169.254.7.127", "fd16:9254:7127:1337:ffff:ffff:ffff:ffff",
        }  # fmt: skip
        assert HBONE not in probes["ports"], "that address is no workload's"
        dns, *asked = made["spec"]["egress"]
        assert HBONE not in dns["ports"]
        assert all(HBONE in rule["ports"] for rule in asked)


def test_the_helm_test_reaches_a_server_of_an_ambient_mesh() -> None:
    (rule,) = policy(SHARED | mesh(ambient=True), "pay-ott-extauthz-test")["ingress"]
    assert HBONE in rule["ports"]


@pytest.mark.parametrize("values", [{}, mesh()], ids=["no-mesh", "sidecars"])
def test_no_tunnel_is_let_in_elsewhere(values: dict[str, Any]) -> None:
    made = policy(HARDENED | {"tls": {}} | values)
    assert "15008" not in str(made)
    assert "169.254.7.127" not in str(made)


def test_a_closed_servers_sidecar_gets_its_certificate() -> None:
    """Without istiod it never starts, and with it no pod of the Deployment."""
    rule = policy(SHARED | CLOSED | mesh(rootNamespace="mesh"))["egress"][-1]
    assert [port["port"] for port in rule["ports"]] == [15012]
    assert rule["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "mesh"}}}]
    for values in ({}, mesh(ambient=True), mesh(mutualTls=False)):
        assert "15012" not in str(policy(SHARED | CLOSED | values))


def test_the_notes_say_how_a_namespace_joins_the_mesh() -> None:
    assert "label auth for injection" in notes(SHARED | mesh())
    assert "label auth for istio.io/dataplane-mode=ambient" in notes(SHARED | mesh(ambient=True))


def test_what_a_network_policy_cannot_tell_apart_in_a_tunnel_is_said() -> None:
    scraped = {"networkPolicy": SHARED["networkPolicy"] | {"prometheus": [{"podSelector": {}}]}}
    warning = "whoever may scrape may call Check as well"
    assert warning in notes(SHARED | scraped | mesh(ambient=True))
    assert warning not in notes(SHARED | scraped | mesh(ambient=True, callers=["cluster.local/ns/edge/sa/gateway"]))
    assert warning not in notes(SHARED | scraped | mesh())


# --- closed registries, as a part of another chart


def images(values: dict[str, Any]) -> set[str]:
    made = {pod.server["image"] for pod in pods(values)}
    return made | {one["spec"]["containers"][0]["image"] for one in objects(values, needed={}) if one["kind"] == "Pod"}


def test_every_image_comes_from_the_registry_that_is_the_whole_charts() -> None:
    shared = {"global": {"imageRegistry": "mirror.bank.example:5000/hub", "storageClass": "for-others"}}
    assert images(ISSUER | shared) == {"mirror.bank.example:5000/hub/ott-extauthz:0.1.0"}
    own = {"image": {"registry": "own.example", "digest": "sha256:" + "a" * 64}}
    assert images(ISSUER | shared | own) == {"own.example/ott-extauthz@sha256:" + "a" * 64}


@pytest.mark.parametrize("name", ["issuer-values", "sidecar-values"])
def test_both_charts_secrets_open_the_registry(name: str) -> None:
    own = {"imagePullSecrets": [{"name": "own"}, {"name": "both"}]}
    values = SETS[name] | own | {"global": {"imagePullSecrets": ["shared", {"name": "both"}]}}
    specs = [pod.spec for pod in pods(values)]
    specs += [one["spec"] for one in objects(values, needed={}) if one["kind"] == "Pod"]
    for spec in specs:
        assert spec["imagePullSecrets"] == [{"name": "shared"}, {"name": "both"}, {"name": "own"}]


@pytest.mark.parametrize(
    "shared",
    [{"imageRegistry": "a b"}, {"imageRegistry": "a\n  x: y"}, {"imagePullSecrets": "a"}, {"imagePullSecrets": [1]}],
    ids=["space", "line", "text", "number"],
)
def test_what_is_no_registry_and_no_secret_is_refused(shared: dict[str, Any]) -> None:
    assert "/global/" in problems(SHARED | {"global": shared})
