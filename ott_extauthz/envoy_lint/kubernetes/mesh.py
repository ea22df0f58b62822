"""What does Istio's mesh configuration say, in whichever of its forms?

A ConfigMap ``istio`` with a key ``mesh``, an ``IstioOperator``, an ``Istio`` of the Sail operator, Helm values with a
``meshConfig``, or the bare MeshConfig.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ott_extauthz.envoy_lint.kubernetes.objects import Object, Objects
from ott_extauthz.envoy_lint.kubernetes.part import Part

DEFAULT_ROOT: Final = "istio-system"
_ANNOTATION: Final = "proxy.istio.io/config"
_BARE: Final = ("extensionProviders", "pathNormalization", "defaultConfig", "rootNamespace")


@dataclass(frozen=True, slots=True)
class Mesh:
    """The mesh configurations that were given; none is what is not known, and not a default."""

    configs: tuple[Part, ...]
    unreadable: tuple[Part, ...]
    root_namespace: str
    proxies: tuple[Part, ...]
    """What proxies are told: the mesh's ``defaultConfig``, and workloads' own annotations."""

    @property
    def is_known(self) -> bool:
        """Whether there is one that can be read."""
        return bool(self.configs)

    def providers(self) -> Iterator[Part]:
        """Yield the extension providers."""
        for config in self.configs:
            yield from config.at("extensionProviders")


def mesh_of(objects: Objects) -> Mesh:
    """Return what is said of the mesh."""
    configs: list[Part] = []
    unreadable: list[Part] = []
    roots: list[str] = []
    for one in objects.every:
        text = one.at("data", "mesh")
        if one.kind == "ConfigMap" and text.text:
            config = text.embedded()
            (configs if isinstance(config.value, dict) else unreadable).append(config)
            roots.append(config.at("rootNamespace").text or one.namespace)
        else:
            configs += (found := list(_written(one)))
            roots += [config.at("rootNamespace").text for config in found]
    root = next(filter(None, roots), DEFAULT_ROOT)
    proxies = [config.at("defaultConfig") for config in configs]
    return Mesh(tuple(configs), tuple(unreadable), root, (*filter(_is_there, proxies), *_annotated(objects)))


def _written(one: Object) -> Iterator[Part]:
    if one.kind == "IstioOperator":
        yield from filter(_is_there, (one.at("spec", "meshConfig"), one.at("spec", "values", "meshConfig")))
    elif one.kind == "Istio":
        yield from filter(_is_there, (one.at("spec", "values", "meshConfig"),))
    elif not one.kind and one.at("meshConfig").is_there:
        yield one.at("meshConfig")
    elif not one.kind and any(one.at(name).is_there for name in _BARE):
        yield one


def _annotated(objects: Objects) -> Iterator[Part]:
    for one in objects.every:
        for metadata in (one.at("metadata"), one.at("spec", "template", "metadata")):
            config = metadata.at("annotations", _ANNOTATION).embedded()
            if isinstance(config.value, dict):
                yield config


def _is_there(part: Part) -> bool:
    return part.is_there
