"""Which rules are there for Kubernetes manifests?  Each once, by subject."""

from typing import Final

from ott_extauthz.envoy_lint.finding import Rule
from ott_extauthz.envoy_lint.kubernetes.catalogue import (
    cancelling,
    certificates,
    gateway,
    policies,
    providers,
    traffic,
    workloads,
)

RULES: Final[tuple[Rule, ...]] = (
    *providers.RULES,
    *policies.RULES,
    *workloads.RULES,
    *certificates.RULES,
    *traffic.RULES,
    *gateway.RULES,
    *cancelling.RULES,
)
