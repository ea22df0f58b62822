"""Do Kubernetes manifests of Istio and Envoy Gateway undo a Check?

    findings(objects, expected)

Everything that is given together is judged together: a policy and the provider that it names, a patch and the policy
that it is for.  A rule whose subject cannot be told from what was given holds back.
"""

from collections.abc import Iterator, Sequence

from ott_extauthz.envoy_lint.document import Document
from ott_extauthz.envoy_lint.expectations import Expectations
from ott_extauthz.envoy_lint.finding import Finding
from ott_extauthz.envoy_lint.kubernetes.cancelling import found_in_cancelling
from ott_extauthz.envoy_lint.kubernetes.catalogue import RULES
from ott_extauthz.envoy_lint.kubernetes.client_certificates import found_in_certificates
from ott_extauthz.envoy_lint.kubernetes.extensions import found_in_extensions
from ott_extauthz.envoy_lint.kubernetes.gateway_policies import found_in_gateway_policies
from ott_extauthz.envoy_lint.kubernetes.gateway_ways import found_in_ways
from ott_extauthz.envoy_lint.kubernetes.headers import found_in_headers
from ott_extauthz.envoy_lint.kubernetes.istio_gateways import found_in_gateways
from ott_extauthz.envoy_lint.kubernetes.istio_policies import found_in_policies
from ott_extauthz.envoy_lint.kubernetes.istio_providers import found_in_providers
from ott_extauthz.envoy_lint.kubernetes.istio_workloads import found_in_workloads
from ott_extauthz.envoy_lint.kubernetes.mesh import mesh_of
from ott_extauthz.envoy_lint.kubernetes.objects import Objects
from ott_extauthz.envoy_lint.kubernetes.ours import ours_among
from ott_extauthz.envoy_lint.kubernetes.patches import found_in_patches
from ott_extauthz.envoy_lint.kubernetes.repeats import found_in_repeats
from ott_extauthz.envoy_lint.kubernetes.side_doors import found_in_side_doors

__all__ = ["RULES", "findings"]


def findings(objects: Sequence[Document], expected: Expectations) -> Iterator[Finding]:
    """Yield every rule that does not hold, each with its place; the documents are judged together."""
    every = Objects.of(objects)
    mesh = mesh_of(every)
    ours = ours_among(every, mesh)
    yield from found_in_providers(mesh, ours, expected)
    yield from found_in_policies(every, mesh, ours, expected)
    yield from found_in_workloads(every, mesh, ours)
    yield from found_in_gateways(every, ours)
    yield from found_in_certificates(every, mesh, ours, expected)
    yield from found_in_gateway_policies(every, ours, expected)
    yield from found_in_ways(every, ours, expected)
    yield from found_in_patches(every, mesh, ours, expected)
    yield from found_in_side_doors(every, mesh, ours)
    yield from found_in_extensions(every, mesh, ours)
    yield from found_in_headers(every, mesh, ours, expected)
    yield from found_in_repeats(every, mesh, expected)
    yield from found_in_cancelling(every, mesh, ours, expected)
