"""What must not be installed is refused with its reason."""

import json
import re
from typing import Any, Final

import pytest
import yaml

from ott_extauthz.sections.issuer import Issuer
from ott_extauthz.settings import Settings
from tests.chart.rendering import CHART, named, objects, problems, render, value_sets

SETS = value_sets()
SHARED, MEMORY, ISSUER = (SETS[f"{name}-values"] for name in ("shared", "memory", "issuer"))
SCALED = {"autoscaling": {"enabled": True}}


def store(**section: Any) -> dict[str, Any]:
    return SHARED | {"store": section}


def issuer(**section: Any) -> dict[str, Any]:
    return ISSUER | {"issuer": ISSUER["issuer"] | section}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no policy": ({"store": SHARED["store"]}, "policy: required"),
    "no store": ({"policy": SHARED["policy"]}, "store.type: required"),
    "nobody may call": (SHARED | {"networkPolicy": {"envoys": []}}, "networkPolicy.envoys: required"),
    "two policies": (SHARED | {"policy": SHARED["policy"] | {"existingConfigMap": "x"}}, "policy: one of inline"),
    "two shadow policies": (
        SHARED | {"shadowPolicy": {"files": {"a.yaml": ""}, "existingConfigMap": "x"}},
        "shadowPolicy: one of inline",
    ),
    "memory in several pods": (MEMORY | {"replicaCount": 2}, "store.type memory: each pod"),
    "memory that scales": (MEMORY | SCALED, "store.type memory: each pod"),
    "memory on every node": (MEMORY | {"kind": "DaemonSet"}, "store.type memory: each pod"),
    "memory beside every Envoy": (MEMORY | {"kind": "Sidecar"}, "store.type memory: each pod"),
    "memory of several issuers": (issuer() | {"store": {"type": "memory"}, "replicaCount": 1}, "issuer.replicaCount"),
    "memory with a server": (MEMORY | {"store": {"type": "memory", "servers": ["a"]}}, "store: memory has no servers"),
    "one of two servers": (store(type="standalone", servers=["a", "b"]), "standalone has one server, not 2"),
    "a quorum of four": (store(type="quorum", servers=["a", "b", "c", "d"]), "a quorum has 3 or 5 servers, not 4"),
    "a quorum that waits": (store(type="quorum", servers=["a", "b", "c"], wait=1), "store.wait"),
    "sentinels of nothing": (store(type="sentinel", servers=["a"]), "store.name: required"),
    "a cluster of nobody": (store(type="cluster"), "store.servers: required"),
    "a cluster's database": (store(type="cluster", servers=["a"], database=1), "store.database"),
    "a name that is ignored": (store(type="standalone", servers=["a"], name="b"), "store.name: standalone has none"),
    "a sentinel password that is ignored": (
        store(type="standalone", servers=["a"], sentinelPassword={"existingSecret": "b"}),
        "store.sentinelPassword",
    ),
    "TLS files that are ignored": (
        store(type="standalone", servers=["a"], tls={"ca": {"secret": "b"}}),
        "store.tls.enabled: it is off",
    ),
    "PostgreSQL in the clear": (
        store(type="postgresql", servers=["a"], name="b", tls={"enabled": True}),
        "store.tls.ca: required",
    ),
    "two authorities of the store": (
        store(type="standalone", servers=["a"], tls={"enabled": True, "ca": {"secret": "a", "configMap": "b"}}),
        "store.tls.ca: one of",
    ),
    "two authorities of the Envoys": (
        SHARED | {"tls": {"enabled": True, "existingSecret": "a", "clientCa": {"secret": "a", "configMap": "b"}}},
        "tls.clientCa: one of",
    ),
    "a certificate of nobody": (
        SHARED | {"tls": {"enabled": True, "certManager": {"enabled": True}}},
        "tls.certManager.issuerRef: required",
    ),
    "two passwords": (
        store(type="standalone", servers=["a"], password={"value": "b", "existingSecret": "c"}),
        "store.password: one",
    ),
    "scaling of a DaemonSet": (SETS["daemonset-values"] | SCALED, "autoscaling: for kind Deployment only"),
    "scaling by nothing": (
        SHARED | {"autoscaling": {"enabled": True, "targetCPUUtilizationPercentage": None}},
        "scales by nothing",
    ),
    "one disk for several": (
        SHARED | {"audit": {"volume": "persistentVolumeClaim", "accessModes": ["ReadWriteOnce"]}},
        "audit.accessModes",
    ),
    "a claim without a name": (SHARED | {"audit": {"volume": "existingClaim"}}, "audit.existingClaim: required"),
    "TLS without a certificate": (SHARED | {"tls": {"enabled": True}}, "tls.existingSecret: required"),
    "two certificates": (
        SHARED | {"tls": {"enabled": True, "existingSecret": "a", "certManager": {"enabled": True}}},
        "tls: one of",
    ),
    "TLS that the transport lacks": (
        SHARED | {"tls": {"enabled": True, "existingSecret": "a"}, "listen": {"transport": "native"}},
        "native serves no",
    ),
    "TLS on a socket": (SETS["sidecar-values"] | {"tls": {"enabled": True}}, "tls: a sidecar listens on a Unix socket"),
    "a store behind the chart's back": (
        SHARED | {"extraEnv": [{"name": "OTT_STORE__URL", "value": "memory://"}]},
        "extraEnv: OTT_STORE__URL would",
    ),
    "the issuer's keys behind its back": (
        issuer(extraEnv=[{"name": "OTT_ISSUER__KEYS", "value": "elsewhere"}]),
        "extraEnv: OTT_ISSUER__KEYS would",
    ),
    "a risk in a variable": (
        SHARED | {"extraEnv": [{"name": "OTT_ATTACH__X", "value": "accept the risk"}]},
        "extraEnv: OTT_ATTACH__X says",
    ),
    "a secret of nothing": (SHARED | {"secrets": {"a": {}}}, "secrets.a: one of"),
    "a secret in the chart's place": (
        SHARED | {"secrets": {"store": {"files": {"a": "b"}}}},
        "secrets.store: the chart",
    ),
    "a name that is none": (SHARED | {"fullnameOverride": "1ott"}, "set fullnameOverride"),
    "an issuer without keys": (issuer(keys={}), "issuer.keys.existingSecret: required"),
    "an issuer with two sorts of keys": (
        issuer(keys={"existingSecret": "a", "awsKms": {"active": "b"}}),
        "issuer.keys: one",
    ),
    "an issuer without a name": (issuer(url=""), "issuer.url: required"),
    "an issuer without clients": (issuer(clients={}), "issuer.clients: required"),
    "an issuer in the clear": (issuer(tls={}), "issuer.tls.existingSecret: required"),
    "batches for anybody": (issuer(tls={"existingSecret": "a", "clientAuth": False}), "issuer.grpc"),
    "rings that nobody trusts": (
        issuer(rings={"eu": {"existingSecret": "a"}}, trusted={"source": "secret"}),
        "issuer.trusted.source",
    ),
    "an issuer in the Check server": (
        SHARED | {"config": {"issuer": {"url": "https://a"}}},
        "config.issuer: the chart",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_does_not_install(name: str) -> None:
    values, told = REFUSED[name]
    assert told in problems(values, needed={})


def test_what_the_chart_writes_is_not_written_over() -> None:
    keys = {"listen", "store", "trust", "policy", "shadow_policy", "audit"}
    told = problems(SHARED | {"config": dict.fromkeys(keys)})
    assert set(re.findall(r"^- config\.(\w+): the chart writes it", told, re.MULTILINE)) == keys


def test_nor_in_the_issuer() -> None:
    keys = {"url", "listen", "admin", "grpc", "keys", "rings", "passphrase_file", "read_only", "clients", "tls"}
    told = problems(issuer(config=dict.fromkeys(keys)))
    assert set(re.findall(r"^- issuer\.config\.(\w+): the chart writes it", told, re.MULTILINE)) == keys


def test_every_mistake_is_told_at_once() -> None:
    told = problems({"replicaCount": 3}, needed={})
    assert all(
        place in told for place in ("policy: required", "store.type: required", "networkPolicy.envoys: required")
    )


RISKS: dict[str, tuple[dict[str, Any], str]] = {
    "in the policy": (
        SHARED | {"policy": {"inline": {"routes": [{"name": "a", "unbound": "accept the risk"}]}}},
        "unbound",
    ),
    "in a policy's text": (SHARED | {"policy": {"files": {"a.yaml": "x:\n  unbound: 'accept the risk'\n"}}}, "unbound"),
    "in the issuer": (issuer(config={"client_secret_basic": "accept the risk"}), "client_secret_basic"),
    "in the clients' text": (issuer(clients={"inline": 'clients: [{"unbound": "accept the risk"}]'}), "unbound"),
    "in the shadow policy": (SHARED | {"shadowPolicy": {"inline": "unbound:   accept the risk"}}, "unbound"),
    "in the configuration": (
        SHARED | {"config": {"attach": {"client_id": "a"}, "issuer": {"plain_loopback": "accept the risk"}}},
        "plain_loopback",
    ),
}


@pytest.mark.parametrize("name", RISKS)
def test_no_risk_is_taken_by_accident(name: str) -> None:
    """A copied file must not switch off a check that nobody here has heard of."""
    values, key = RISKS[name]
    assert f"acceptedRisks: {key} says `accept the risk`" in problems(values)
    assert problems(values | {"acceptedRisks": [key]}) == ""


OURS: Final = "pay-ott-extauthz"
QUORUM: Final = SETS["redis-quorum-values"]


def asked(values: dict[str, Any], told: str) -> str:
    """Return what a template of the chart says; a rendering has no cluster for it to ask."""
    text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: told}, data: {told: TOLD}}".replace("TOLD", told)
    made = render(values | {"extraObjects": [text]})["templates/core/extra.yaml"]
    return str(yaml.safe_load(made)["data"]["told"])


def changed(store: dict[str, Any], *, running: str = "Deployment", name: str = OURS, **more: Any) -> str:
    """Return what the chart says where this runs with the quorum, and the values have another store."""
    before = named(QUORUM, "Deployment", needed={})["metadata"]
    about = '(dict "root" $ "kind" "KIND" "name" "NAME" "before" (`BEFORE` | fromJson))'
    told = f'{{{{ include "ott.storeChange" {about} | toJson }}}}'
    told = told.replace("KIND", running).replace("NAME", name).replace("BEFORE", json.dumps({"metadata": before}))
    return asked(SHARED | {"store": store, **more}, told)


def test_pods_with_two_lists_never_run_beside_each_other() -> None:
    """A quorum with another server, replaced one by one: a token spent at the old three is new to the new three."""
    quorum = SETS["redis-quorum-values"]["store"]
    other = quorum | {"servers": [*quorum["servers"][:2], "valkey-9"]}
    assert "each let a token through. Install this change with updateStrategy.type Recreate" in changed(other)
    assert changed(other, updateStrategy={"type": "Recreate"}) == ""


def provider_changed(was: str, **istio: Any) -> str:
    """Return what the chart says where a target's policy names this provider."""
    before = {"metadata": {"name": f"{OURS}-edge"}, "spec": {"provider": {"name": was}}}
    told = '{{ include "ott.providerChange" (dict "root" $ "before" (`BEFORE` | fromJson)) | toJson }}'
    return asked(SHARED | {"istio": istio}, told.replace("BEFORE", json.dumps(before)))


def test_an_upgrade_never_takes_a_provider_from_under_policies_that_name_it() -> None:
    """The default was one name for all; with another one, which no mesh has yet, Istio refuses every call."""
    assert "Keep the old name by istio.provider: ott-extauthz" in provider_changed("ott-extauthz")
    assert "istio.provider: ott-extauthz" in provider_changed("ott-extauthz-no-body")
    assert provider_changed("ott-extauthz", provider="ott-extauthz") == ""
    assert provider_changed("ott-extauthz", provider=f"auth-{OURS}") == ""
    assert provider_changed(f"auth-{OURS}") == provider_changed(f"auth-{OURS}-no-body") == ""


KINDS = ("Deployment", "DaemonSet", "Sidecar")


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_ran_before_is_looked_for(kind: str) -> None:
    """A new kind and a new store in one upgrade: Helm makes the new workload first, and then removes the old one."""
    holders = yaml.safe_load(asked(SHARED | {"kind": kind}, '{{ include "ott.storeHolders" . | toJson }}'))
    assert {(each[1], each[2]) for each in holders} == {
        ("Deployment", OURS), ("DaemonSet", OURS), ("Deployment", f"{OURS}-issuer"), ("ConfigMap", f"{OURS}-sidecar"),
    }  # fmt: skip


def test_everything_that_names_a_store_is_among_what_is_looked_for() -> None:
    values = [ISSUER | {"kind": kind} for kind in KINDS]
    told = [asked(each, '{{ include "ott.storeHolders" . | toJson }}') for each in values]
    for each, holders in zip(values, map(yaml.safe_load, told), strict=True):
        made = [one for one in objects(each) if "ott-extauthz/store" in one["metadata"].get("annotations", {})]
        assert len(made) == 2
        assert all([one["apiVersion"], one["kind"], one["metadata"]["name"]] in holders for one in made)


@pytest.mark.parametrize(
    ("running", "name", "kind"),
    [
        ("Deployment", OURS, "DaemonSet"), ("Deployment", OURS, "Sidecar"), ("DaemonSet", OURS, "Deployment"),
        ("DaemonSet", OURS, "DaemonSet"), ("ConfigMap", f"{OURS}-sidecar", "Sidecar"),
        ("ConfigMap", f"{OURS}-sidecar", "Deployment"),
    ],
)  # fmt: skip
def test_a_new_kind_with_a_new_store_waits_until_the_old_one_is_gone(running: str, name: str, kind: str) -> None:
    """``Recreate`` is the new Deployment's own affair: it ends nothing of another kind first."""
    new = SHARED["store"]
    recreated: dict[str, Any] = {} if kind == "DaemonSet" else {"updateStrategy": {"type": "Recreate"}}
    for more in ({}, recreated):
        assert "first; see docs/stores.md" in changed(new, running=running, name=name, kind=kind, **more)
    assert changed(QUORUM["store"], running=running, name=name, kind=kind) == ""


def test_an_issuers_deployment_can_always_be_ended_before_its_successor_begins() -> None:
    told = changed(SHARED["store"], name=f"{OURS}-issuer", kind="DaemonSet")
    assert "Install this change with updateStrategy.type Recreate" in told


def test_another_user_or_tls_is_no_other_list() -> None:
    quorum = SETS["redis-quorum-values"]["store"]
    assert changed(quorum) == ""
    assert changed(quorum | {"user": "ott", "tls": {"enabled": True}}) == ""


def test_what_the_chart_writes_are_settings() -> None:
    """A name of a setting that there is no longer would silently go into the wrong file, or be refused for nothing."""
    templates = CHART / "templates"
    (shared,) = re.findall(r"omit \.Values\.config ([^)]*)\)", (templates / "issuer" / "_issuer.tpl").read_text())
    assert set(re.findall(r'"(\w+)"', shared)) <= Settings.model_fields.keys()
    (own,) = re.findall(r"\$owners := dict (.*) }}", (templates / "core" / "_validate.tpl").read_text())
    assert set(re.findall(r'"([^"]*)"', own)[::2]) <= Settings.model_fields.keys()
    (refused,) = re.findall(r'range \$key := list ("url" .*?) }}', (templates / "core" / "_validate.tpl").read_text())
    assert set(re.findall(r'"(\w+)"', refused)) <= Issuer.model_fields.keys()


def test_a_certificate_for_a_cluster_without_cert_manager() -> None:
    values = SETS["cert-manager-values"]
    manager = values["tls"]["certManager"]

    def with_mode(mode: str) -> dict[str, Any]:
        return values | {"tls": values["tls"] | {"certManager": manager | {"renderMode": mode}}}

    def certificates(mode: str) -> list[Any]:
        return [one for one in objects(with_mode(mode)) if one["kind"] == "Certificate"]

    assert "tls.certManager: the cluster does not have cert-manager.io/v1" in problems(with_mode("failIfMissing"))
    assert certificates("skipIfMissing") == []
    assert len(certificates("alwaysRender")) == 1
