"""What a pod may do, how it starts, and how it leaves."""

from typing import Any

import pytest

from ott_extauthz.settings import PREFIX
from tests.chart.kinds import misfits
from tests.chart.pods import Pod, pods
from tests.chart.rendering import named, objects, problems, value_sets

SETS = value_sets()
SHARED, ISSUER = SETS["shared-values"], SETS["issuer-values"]
EVERY = [pytest.param(pod, id=f"{name}-{pod.component}") for name, values in SETS.items() for pod in pods(values)]


@pytest.mark.parametrize("pod", EVERY)
def test_a_container_can_do_nothing_but_serve(pod: Pod) -> None:
    """The restricted Pod Security Standard, and a root that nobody writes."""
    own = pod.server["securityContext"]
    security = pod.spec.get("securityContext", {}) | own
    assert own["allowPrivilegeEscalation"] is False
    assert own["readOnlyRootFilesystem"] is True
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert security["runAsNonRoot"] is True
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.spec.keys()
    assert not [volume for volume in pod.spec["volumes"] if "hostPath" in volume]
    assert [port for port in pod.server["ports"] if "hostPort" in port] == []


@pytest.mark.parametrize("pod", EVERY)
def test_services_do_not_become_settings(pod: Pod) -> None:
    """Kubernetes would hand a Service `ott-extauthz` in as OTT_EXTAUTHZ_PORT, and the program refuses to start."""
    assert PREFIX == "OTT_"
    assert pod.spec["enableServiceLinks"] is False


@pytest.mark.parametrize("pod", EVERY)
def test_what_is_written_to_is_a_volume(pod: Pod) -> None:
    writable = {mount["mountPath"] for mount in pod.server["volumeMounts"] if not mount.get("readOnly")}
    assert "/tmp" in writable, "the native transport makes a socket there"  # noqa: S108 - a path in the container
    assert writable <= {"/tmp", "/var/lib/ott/audit", "/run/ott"}  # noqa: S108


@pytest.mark.parametrize("pod", EVERY)
def test_no_mounted_secret_is_for_everybody(pod: Pod) -> None:
    """The program refuses such a file, and the default of Kubernetes is 0644."""
    for volume in pod.spec["volumes"]:
        whole = volume.get("secret") or volume.get("projected")
        if whole is not None:
            assert whole["defaultMode"] & 0o007 == 0, volume["name"]


@pytest.mark.parametrize("pod", EVERY)
def test_no_file_is_mounted_by_subpath(pod: Pod) -> None:
    """A subPath mount never changes: a rotated key or a new policy would not be seen."""
    mounts = [mount for mount in pod.server["volumeMounts"] if {"subPath", "subPathExpr"} & mount.keys()]
    assert {mount["mountPath"] for mount in mounts} <= {"/var/lib/ott/audit"}


@pytest.mark.parametrize("pod", EVERY)
def test_memory_is_limited_and_cpu_is_not(pod: Pod) -> None:
    resources = pod.server["resources"]
    assert set(resources["limits"]) == {"memory"}
    assert set(resources["requests"]) == {"cpu", "memory"}


@pytest.mark.parametrize(
    ("drain", "seconds"),
    [({}, 20), ({"wait": "0ms", "grace": "1s"}, 11), ({"wait": "7500ms", "grace": "10s"}, 28), ({"grace": "2m"}, 135)],
    ids=["usual", "short", "fractions", "minutes"],
)
def test_a_pod_is_killed_only_after_it_has_drained(drain: dict[str, str], seconds: int) -> None:
    (pod,) = pods(SHARED | {"config": {"drain": drain}})
    assert pod.spec["terminationGracePeriodSeconds"] == seconds


def test_envoys_have_time_to_look_away_before_a_pod_drains() -> None:
    (pod,) = pods(SHARED)
    assert pod.server["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    (hasty,) = pods(SHARED | {"preStop": {"sleepSeconds": 0}})
    assert "lifecycle" not in hasty.server


@pytest.mark.parametrize(
    ("version", "action"),
    [("v1.27.3", {"exec": {"command": ["sleep", "5"]}}), ("v1.30.0", {"sleep": {"seconds": 5}})],
    ids=["before-sleep", "since-sleep"],
)
def test_an_old_kubelet_sleeps_by_a_command(version: str, action: dict[str, Any]) -> None:
    scope = f'(dict "Values" .Values "Capabilities" (dict "KubeVersion" (dict "Version" "{version}")))'
    said = '{{ include "ott.lifecycle" SCOPE | fromYaml | toJson }}'.replace("SCOPE", scope)
    text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: told}, data: TOLD}".replace("TOLD", said)
    made = named(SHARED | {"extraObjects": [text]}, "ConfigMap", "told", needed={})
    assert made["data"] == {"lifecycle": {"preStop": action}}


def test_too_short_a_life_after_sigterm_is_refused() -> None:
    values = SHARED | {"terminationGracePeriodSeconds": 15}
    assert "terminationGracePeriodSeconds: preStop and config.drain take 15 s" in problems(values)
    assert problems(values | {"terminationGracePeriodSeconds": 16}) == ""


def test_the_kubelet_asks_in_a_language_that_it_speaks() -> None:
    (shared,), (tls,), (sidecar,) = (pods(SETS[f"{name}-values"]) for name in ("shared", "cert-manager", "sidecar"))
    assert shared.server["livenessProbe"]["grpc"] == {"port": 9001, "service": "liveness"}
    assert shared.server["startupProbe"]["grpc"] == {"port": 9001, "service": "liveness"}
    assert shared.server["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "admin"}
    for pod in (tls, sidecar):
        assert pod.server["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "admin"}


def test_readiness_may_be_asked_by_grpc() -> None:
    (pod,) = pods(SHARED | {"probes": {"readiness": {"handler": "grpc"}}})
    assert pod.server["readinessProbe"]["grpc"] == {"port": 9001, "service": ""}
    refused = problems(SETS["cert-manager-values"] | {"probes": {"readiness": {"handler": "grpc"}}})
    assert "probes.readiness.handler" in refused


def test_a_changed_configuration_replaces_the_pods_and_a_changed_policy_does_not() -> None:
    """The policy is followed by the server itself; ott.yaml is read at the start only."""
    (before,), (region,) = pods(SHARED), pods(SHARED | {"config": {"region": "EU"}})
    policy = {"policy": {"inline": "revision: other\n"}}
    (other_policy,) = pods(SHARED | policy)
    assert before.metadata["annotations"] != region.metadata["annotations"]
    assert before.metadata["annotations"] == other_policy.metadata["annotations"]


def test_a_changed_secret_of_the_chart_replaces_the_pods() -> None:
    one, two = (pods(SHARED | {"secrets": {"mine": {"files": {"key": text}}}})[0] for text in ("one", "two"))
    name = "checksum/secret"
    assert one.metadata["annotations"][name] != two.metadata["annotations"][name]


def test_openshift_chooses_the_ids() -> None:
    (pod,) = pods(SETS["openshift-values"])
    security = pod.spec["securityContext"]
    assert not {"runAsUser", "runAsGroup", "fsGroup"} & security.keys()
    assert security["runAsNonRoot"] is True


def test_an_autoscaler_and_a_number_of_replicas_do_not_fight() -> None:
    scaled = SHARED | {"autoscaling": {"enabled": True}}
    assert "replicas" not in named(scaled, "Deployment", needed={})["spec"]
    assert named(scaled, "HorizontalPodAutoscaler", needed={})["spec"]["minReplicas"] == 2
    assert named(SHARED, "Deployment", needed={})["spec"]["replicas"] == 2


def test_two_memory_stores_never_run_beside_each_other() -> None:
    deployment = named(SETS["memory-values"], "Deployment", needed={})
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    rolling = SETS["memory-values"] | {"updateStrategy": {"type": "RollingUpdate"}}
    assert "updateStrategy: with the memory store" in problems(rolling)


def test_a_rollout_takes_no_server_away_before_its_successor_is_ready() -> None:
    for name in ("shared-values", "daemonset-values"):
        spec = named(SETS[name], "DaemonSet" if "daemon" in name else "Deployment", needed={})["spec"]
        strategy = spec.get("strategy") or spec["updateStrategy"]
        assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_pods_of_one_revision_spread_over_zones_and_nodes() -> None:
    (pod,) = pods(SHARED)
    spread = pod.spec["topologySpreadConstraints"]
    assert [one["topologyKey"] for one in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    for one in spread:
        assert one["matchLabelKeys"] == ["pod-template-hash"]
        assert one["labelSelector"]["matchLabels"].items() <= pod.metadata["labels"].items()


def test_each_pod_has_a_folder_of_its_own_in_a_claim() -> None:
    """Two writers of one file on a network file system tear each other's lines."""
    (pod,) = pods(SETS["hardened-values"])
    (audit,) = [mount for mount in pod.server["volumeMounts"] if mount["name"] == "ott-audit"]
    assert audit["subPathExpr"] == "$(POD_NAME)"
    assert pod.server["env"][0]["name"] == "POD_NAME"


def test_beside_envoy_both_are_in_the_group_that_owns_the_socket() -> None:
    (pod,) = pods(SETS["sidecar-classic-values"])
    group = pod.spec["securityContext"]["fsGroup"]
    assert group == pod.server["securityContext"]["runAsGroup"] == 1337
    mounted = [
        one["name"]
        for one in pod.spec["containers"]
        if {"name": "ott-socket", "mountPath": "/run/ott"} in one["volumeMounts"]
    ]
    assert sorted(mounted) == ["envoy", "ott-extauthz"]


@pytest.mark.parametrize("name", ["sidecar-values", "sidecar-classic-values"])
def test_the_patch_makes_a_pod(name: str) -> None:
    (pod,) = pods(SETS[name])
    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "envoy", **pod.metadata}, "spec": dict(pod.spec)}
    assert misfits(whole) == []
    native = "initContainers" in pod.spec
    assert native is (name == "sidecar-values")
    assert pod.server.get("restartPolicy") == ("Always" if native else None)


@pytest.mark.parametrize("name", ["sidecar-values", "sidecar-classic-values"])
def test_a_shipper_of_the_audit_comes_along_beside_envoy(name: str) -> None:
    """Left out in silence, as it was, the audit would end with its pod."""
    mount = {"name": "ott-audit", "mountPath": "/audit", "readOnly": True}
    shipper, init = ({"name": each, "image": f"{each}:1", "volumeMounts": [mount]} for each in ("shipper", "wait"))
    (pod,) = pods(SETS[name] | {"extraContainers": [shipper], "extraInitContainers": [init]})
    assert shipper in [{key: one[key] for key in shipper if key in one} for one in pod.spec["containers"]]
    assert pod.spec["initContainers"][0] == init
    assert mount["name"] in {volume["name"] for volume in pod.spec["volumes"]}
    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "envoy", **pod.metadata}, "spec": dict(pod.spec)}
    assert misfits(whole, versions=("1.33",)) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("podAnnotations", {"a": "b"}), ("podLabels", {"a": "b"}), ("nodeSelector", {"a": "b"}),
        ("affinity", {"a": {}}), ("tolerations", [{"operator": "Exists"}]), ("priorityClassName", "a"),
        ("runtimeClassName", "a"),
    ],
)  # fmt: skip
def test_nothing_for_a_pod_of_our_own_is_ignored_beside_envoy(key: str, value: Any) -> None:
    assert f"{key}: with kind Sidecar the pod is Envoy's" in problems(SETS["sidecar-values"] | {key: value})


def test_no_container_of_ones_own_changes_envoys() -> None:
    extra = {"extraContainers": [{"name": "gateway", "image": "evil:1"}]}
    assert "gateway is Envoy's own container" in problems(SETS["sidecar-values"] | extra)


def test_no_claim_of_another_namespace_is_made_for_a_sidecar() -> None:
    assert "audit.volume" in problems(SETS["sidecar-values"] | {"audit": {"volume": "persistentVolumeClaim"}})


def test_more_of_everything_gets_into_the_pods() -> None:
    more: dict[str, Any] = {
        "extraEnv": [{"name": "TZ", "value": "UTC"}],
        "extraVolumes": [{"name": "geo", "configMap": {"name": "geo"}}],
        "extraVolumeMounts": [{"name": "geo", "mountPath": "/ott/geo"}],
        "extraContainers": [{"name": "shipper", "image": "shipper:1"}],
        "extraInitContainers": [{"name": "wait", "image": "wait:1"}],
        "podAnnotations": {"a": "b"},
        "podLabels": {"c": "d", "app.kubernetes.io/component": "mine"},
        "nodeSelector": {"e": "f"},
        "tolerations": [{"operator": "Exists"}],
    }
    issuer = ISSUER["issuer"] | more
    for pod in pods(ISSUER | more | {"issuer": issuer}):
        assert {"name": "TZ", "value": "UTC"} in pod.server["env"]
        assert more["extraVolumeMounts"][0] in pod.server["volumeMounts"]
        assert more["extraVolumes"][0] in pod.spec["volumes"]
        assert [one["name"] for one in pod.spec["containers"]][1:] == ["shipper"]
        assert pod.spec["initContainers"] == more["extraInitContainers"]
        assert pod.metadata["annotations"]["a"] == "b"
        assert pod.metadata["labels"]["c"] == "d"
        assert pod.metadata["labels"]["app.kubernetes.io/component"] == pod.component, "selectors must go on matching"
        assert (pod.spec["nodeSelector"], pod.spec["tolerations"]) == ({"e": "f"}, [{"operator": "Exists"}])


def test_the_oldest_kubernetes_that_installs_it_knows_every_field() -> None:
    """But for the sleep of preStop, instead of which it gets a command."""
    made = objects(ISSUER | {"preStop": {"sleepSeconds": 0}}, needed={})
    assert [said for one in made for said in misfits(one, versions=("1.27",))] == []
