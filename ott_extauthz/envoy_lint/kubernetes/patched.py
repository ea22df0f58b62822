"""What do patches set, in which message, and for whom?  Istio's EnvoyFilter, Envoy Gateway's EnvoyPatchPolicy."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ott_extauthz.envoy_lint.kubernetes.mesh import Mesh
from ott_extauthz.envoy_lint.kubernetes.objects import Object, selects
from ott_extauthz.envoy_lint.kubernetes.part import Part, snake_case

EXT_AUTHZ: Final = "ext_authz"
_STRUCT: Final = "TypedStruct"


@dataclass(frozen=True, slots=True)
class Setting:
    """One field that a patch sets, and in a message of which type, as far as the patch says."""

    name: str
    part: Part
    type: str
    operation: str = ""
    """What the patch does with it: MERGE, INSERT_FIRST, add."""
    is_ext_authz: bool = False
    """Whether it is surely a setting of the filter: its type says so, or the name that it stands under."""

    @property
    def may_be_ext_authz(self) -> bool:
        """Whether it may be a field of the filter: its type says so, or says nothing."""
        return self.is_ext_authz or not self.type


def settings_of(one: Object) -> Iterator[Setting]:
    """Yield every field that a patch sets, however deep."""
    for patch in one.spec.at("configPatches"):
        yield from _typed(patch.at("patch", "value"), Setting("", patch, "", patch.at("patch", "operation").text))
    for patch in one.spec.at("jsonPatches"):
        operation = patch.at("operation")
        value, around = operation.at("value"), Setting("", patch, "", operation.at("op").text)
        steps = [step for step in operation.at("path").text.split("/") if step and not step.isdecimal() and step != "-"]
        if value.is_there and steps:
            yield Setting(snake_case(steps[-1]), value, "", around.operation)
        yield from _typed(value, around)


def _typed(part: Part, around: Setting) -> Iterator[Setting]:
    kind = _kind(part) or around.type
    is_ext_authz = around.is_ext_authz or EXT_AUTHZ in kind or EXT_AUTHZ in part.at("name").text
    for name, member in part.members():
        inside = Setting(name, member, kind, around.operation, is_ext_authz or EXT_AUTHZ in name)
        yield inside
        yield from _typed(member, inside)
    for item in part:
        yield from _typed(item, Setting("", item, kind, around.operation, is_ext_authz))


def _kind(part: Part) -> str:
    """The type of a message; a TypedStruct names it beside its value."""
    kind = part.at("@type").text
    return part.at("type_url").text if kind.endswith(_STRUCT) else kind


def covers(one: Object, policy: Object, mesh: Mesh) -> bool:
    """Whether a patch surely means all that an Istio policy means."""
    if one.namespace not in (policy.namespace, mesh.root_namespace):
        return False
    targets = one.spec.at("targetRefs")
    if targets.is_there:
        return bool(targets.value == policy.spec.at("targetRefs").value)
    return selects(_labels(one), policy.spec.at("selector", "matchLabels").labels)


def may_touch(one: Object, policy: Object, mesh: Mesh) -> bool:
    """Whether something may mean a workload that an Istio policy means."""
    homes = {one.namespace, policy.namespace}
    if len(homes) > 1 and mesh.root_namespace not in homes:
        return False
    ours, theirs = policy.spec.at("selector", "matchLabels").labels, _labels(one)
    return all(theirs.get(name, value) == value for name, value in ours.items())


def _labels(one: Object) -> dict[str, str]:
    return one.spec.at("workloadSelector", "labels").labels or one.spec.at("selector", "matchLabels").labels
