"""Which patches lead past the filter that asks us, or have it ask somebody else?"""

from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.finding import Finding
from ott_extauthz.envoy_lint.kubernetes.catalogue import traffic, workloads
from ott_extauthz.envoy_lint.kubernetes.mesh import Mesh
from ott_extauthz.envoy_lint.kubernetes.objects import Object, Objects
from ott_extauthz.envoy_lint.kubernetes.ours import Ours, mentions_us, refers
from ott_extauthz.envoy_lint.kubernetes.part import Part
from ott_extauthz.envoy_lint.kubernetes.patched import EXT_AUTHZ, settings_of
from ott_extauthz.envoy_lint.kubernetes.patches import patches_among

_WHOLE: Final = ("LISTENER", "FILTER_CHAIN", "NETWORK_FILTER")
_FORWARDING: Final = ("TcpProxy", "HttpConnectionManager")
_LEAVING: Final = "SIDECAR_OUTBOUND"
_PER_ROUTE: Final = frozenset({"check_settings", "checkSettings"})


def found_in_side_doors(objects: Objects, mesh: Mesh, ours: Ours) -> Iterator[Finding]:
    """Yield the listeners, chains and servers that patches bring."""
    for one in patches_among(objects, mesh, ours):
        for patch in one.spec.at("configPatches"):
            yield from _opened(patch, one)
            yield from _in_the_clear(patch, ours)
        yield from _asked_elsewhere(one, ours)


def _opened(patch: Part, one: Object) -> Iterator[Finding]:
    operation, value = patch.at("patch", "operation").text, patch.at("patch", "value")
    is_whole = patch.at("applyTo").text in _WHOLE and operation not in ("", "MERGE", "REMOVE")
    if is_whole and patch.at("match", "context").text != _LEAVING:
        told = [each for each in _strings(value) if each.endswith(_FORWARDING) or EXT_AUTHZ in each]
        if told and not any(EXT_AUTHZ in each for each in told):
            yield value.finding(traffic.SIDE_DOOR, f"{one.name}: {operation} of a {told[0].rpartition('.')[2]}")


def _strings(part: Part) -> Iterator[str]:
    if part.text:
        yield part.text
    for _, member in part.members():
        yield from _strings(member)
    for item in part:
        yield from _strings(item)


def _asked_elsewhere(one: Object, ours: Ours) -> Iterator[Finding]:
    for setting in settings_of(one):
        is_merged = setting.operation == "MERGE" and setting.is_ext_authz
        is_of_a_route = not _PER_ROUTE.isdisjoint(setting.part.path)  # which has a rule of its own
        if setting.name != "cluster_name" or not is_merged or is_of_a_route:
            continue
        if not mentions_us(setting.part.text, ours.services):
            told = f"{one.name} has {setting.part.text or 'another cluster'} asked"
            yield setting.part.finding(traffic.PATCH_REPLACED, told)


def _in_the_clear(patch: Part, ours: Ours) -> Iterator[Finding]:
    host = patch.at("match", "cluster", "service").text
    socket = patch.at("patch", "value", "transport_socket", "name")
    if patch.at("applyTo").text == "CLUSTER" and refers(host, ours.services) and "raw_buffer" in socket.text:
        yield socket.finding(workloads.CHECK_PLAIN, f"a patch has {host} spoken to in plain text")
