"""What is wrong with these documents?  Envoy's own under Envoy's rules, Kubernetes objects under theirs."""

from collections.abc import Iterator, Sequence
from typing import Final

from ott_extauthz.envoy_lint import kubernetes
from ott_extauthz.envoy_lint.chains import chains_of
from ott_extauthz.envoy_lint.configuration import Envoy, envoys_in, is_envoys, root
from ott_extauthz.envoy_lint.document import Document
from ott_extauthz.envoy_lint.expectations import Expectations
from ott_extauthz.envoy_lint.finding import Finding, Severity
from ott_extauthz.envoy_lint.rules import (
    admin,
    answers,
    asking,
    body,
    bypasses,
    callers,
    cancelling,
    certificates,
    connection,
    logs,
    messages,
    order,
    routing,
    server,
    switches,
    tunnels,
    verified,
)
from ott_extauthz.envoy_lint.rules.guarded import Guarded

_ORDER: Final = {severity: index for index, severity in enumerate((Severity.ERROR, Severity.WARNING, Severity.NOTE))}
_MESH: Final = ("meshConfig", "extensionProviders", "pathNormalization", "defaultConfig", "rootNamespace")
_LOOKS: Final = (
    asking, switches, answers, messages, body, connection, callers, certificates, routing, tunnels, order, server,
    cancelling, logs, verified,
)  # fmt: skip


def is_kubernetes(document: Document) -> bool:
    """Whether this is a Kubernetes object, a list of them, or a mesh's configuration without one around it."""
    node = root(document)
    return bool(node["apiVersion"].text and node["kind"].text) or any(node[key].is_there for key in _MESH)


def is_known(document: Document) -> bool:
    """Whether there are rules for this document at all."""
    return is_kubernetes(document) or is_envoys(document)


def findings(
    documents: Sequence[Document], expected: Expectations, *, cluster: str | None = None, version: str = ""
) -> list[Finding]:
    """Return every finding once, the worst first.

    ``cluster`` names the cluster of the Check server where several filters ask several servers; ``version`` is Envoy's,
    where the documents do not say it.
    """
    objects = [document for document in documents if is_kubernetes(document)]
    found = list(kubernetes.findings(objects, expected))
    for envoy in envoys_in([document for document in documents if not is_kubernetes(document)]):
        found += _of_envoy(envoy, expected, cluster, version)
    once = {(each.rule.name, each.place.document, each.place.path, each.detail): each for each in found}
    return sorted(once.values(), key=lambda each: _ORDER[each.rule.severity])


def _of_envoy(envoy: Envoy, expected: Expectations, cluster: str | None, version: str) -> Iterator[Finding]:
    guarded = [
        Guarded(chain=chain, guard=guard, expected=expected)
        for chain in chains_of(envoy)
        for guard in chain.guards(cluster)
    ]
    yield from bypasses.unguarded(envoy, cluster, guarded)
    if not guarded:
        return
    yield from server.of_envoy(envoy, version or envoy.version)
    yield from admin.findings(envoy)
    for each in guarded:
        for look in _LOOKS:
            yield from look.findings(each)
