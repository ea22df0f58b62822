"""What does a route's author write about signatures that are put on requests?  Keys and their forms are ott.yaml's."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from ott_extauthz.documents.validated import Duration
from ott_extauthz.model.message_component import component_from
from ott_extauthz.policy.document.words import Name, Rule, distinct, positive
from ott_extauthz.policy.terms import SigningTerms

FOR_TOKENS_ONLY: Final = {
    "audience": "a signature is for whoever has the key, and names no audience",
    "scopes": "a signature grants nothing",
    "bound_to_request": "a signature is bound to its request by itself: sign.components says to what of it",
    "to": "the headers of a signature are those of its form",
}
"""The keys of a route that attaches tokens which mean nothing where it signs."""

_OF_THE_HOP: Final = frozenset(
    {
        "connection", "content-length", "expect", "host", "keep-alive", "proxy-authenticate", "proxy-authorization",
        "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "via", "traceparent", "tracestate",
        "x-request-id",
    }
)  # fmt: skip
_OURS: Final = frozenset({"signature", "signature-input", "x-signature", "webhook-signature"})
_CHANGED_BY_ENVOY: Final = ("x-envoy-", "x-forwarded-", "x-b3-", "x-ott")
_LONGEST_MS: Final = 86_400_000


def _component(text: str) -> str:
    found = component_from(text)
    if found.name in ("@target-uri", "@scheme"):
        raise ValueError("Envoy may speak another scheme to the receiver than the workload to Envoy; sign @authority, "
                         "@path and @query")  # fmt: skip
    if found.name in _OURS:
        raise ValueError("this header carries a signature, and the workload's is thrown away")
    if found.name in _OF_THE_HOP or found.name.startswith(_CHANGED_BY_ENVOY):
        raise ValueError("this header is changed on its way: the receiver would verify another value")
    return str(found)


def _bounded(value: int) -> int:
    if not 1000 <= value <= _LONGEST_MS:  # noqa: PLR2004 - signatures tell seconds
        raise ValueError("between 1s and 1d")
    return value


Component = Annotated[str, AfterValidator(_component)]


class SignRule(Rule):
    """How requests that leave are signed."""

    key: Name
    """The name of a key in `attach.signing_keys` of ott.yaml; its `form` says how is signed."""
    components: Annotated[list[Component], Field(min_length=1, max_length=32), AfterValidator(distinct)] | None = None
    """With `http_signatures`: what is covered; absent = method, authority, path, query and the body's digest."""
    expires: Annotated[Duration, AfterValidator(positive), AfterValidator(_bounded)] | None = None
    """With `http_signatures`: how long a signature holds; absent = 5m."""
    tag: Annotated[str, Field(pattern=r"^[\x20\x21\x23-\x5b\x5d-\x7e]{1,128}$")] | None = None
    """With `http_signatures`: the application that the signature is for (`tag`)."""
    keep_id: bool = False
    """With `standard_webhooks`: a `webhook-id` that the workload sent stays, so that its retries are one message."""

    def compiled(self) -> SigningTerms:
        """Return it as the check wants it."""
        return SigningTerms(
            key=self.key,
            components=None if self.components is None else tuple(map(component_from, self.components)),
            expires_ms=self.expires,
            tag=self.tag,
            keep_id=self.keep_id,
        )
