"""What may a route say that signs what leaves?  Whatever would mean nothing, or not arrive, is a mistake at load."""

import pytest

from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.model.message_component import Component
from ott_extauthz.policy.document import Policy, policy_from
from ott_extauthz.policy.routes import CredentialKind
from ott_extauthz.policy.terms import SigningTerms

HEAD = """
revision: "r"
routes:
  - name: out
    match: {hosts: [shop.example], methods: [POST], path: /hooks}
"""
SIGNS = "attach: signed_request\nsign: {key: to-shop}\n"


def loaded(lines: str) -> Policy:
    return policy_from(HEAD + "".join(f"    {line}\n" for line in lines.splitlines()), "p.yaml")


def problems(lines: str) -> str:
    with pytest.raises(DocumentError) as caught:
        loaded(lines)
    return "\n".join(map(str, caught.value.problems))


def test_a_key_is_all_that_it_needs() -> None:
    [route] = loaded(SIGNS).table.routes
    assert (route.credential, route.attachment, route.signing) == (
        CredentialKind.ATTACHED,
        None,
        SigningTerms(key="to-shop"),
    )
    assert route.signing is not None
    assert route.signing.covers_body


def test_everything_that_it_can_say() -> None:
    text = (
        'attach: signed_request\nwhen: request.method == "POST"\n'
        'sign: {key: k, components: ["@method", content-digest, \'"@query-param";name="a"\', x-order], expires: 30s, '
        "tag: pay, keep_id: true}\nallow_unbuffered_empty: true\n"
    )
    [route] = loaded(text).table.routes
    assert route.signing == SigningTerms(
        key="k",
        components=(
            Component("@method"),
            Component("content-digest"),
            Component("@query-param", (("name", "a"),)),
            Component("x-order"),
        ),
        expires_ms=30_000,
        tag="pay",
        keep_id=True,
    )
    assert route.signing.signed_headers == ("x-order",)
    assert route.limits.allow_unbuffered_empty


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("attach: signed_request", "routes[0].sign: required: the key that signs"),
        ("attach: signed_request\nsign: {}", "routes[0].sign.key"),
        (
            "attach: [one_time_token, signed_request]\nsign: {key: k}\naudience: a",
            "a route attaches one thing: a token or a signature, never both",
        ),
        (SIGNS + "audience: a", "routes[0].audience: belongs to attached tokens"),
        (SIGNS + 'scopes: ["a"]', "routes[0].scopes: belongs to attached tokens"),
        (SIGNS + "bound_to_request: [body]", "routes[0].bound_to_request: belongs to attached tokens"),
        (SIGNS + "to: {header: x-ott}", "routes[0].to: belongs to attached tokens"),
        (SIGNS + "credential: public", "a route either checks (credential) or attaches"),
        (SIGNS + "clients: [a]", "so clients guards nothing"),
        (SIGNS + "signed_request: {partners: [a]}", "so signed_request guards nothing"),
        (SIGNS + "mode: shadow", "so mode guards nothing"),
        (SIGNS + "when: 'token.sub == \"a\"'", "an attaching route has no token.sub"),
        ("attach: one_time_token\naudience: a\nsign: {key: k}", "routes[0].sign: says how a request that leaves"),
        ("credential: public\nsign: {key: k}", "routes[0].sign: says how a request that leaves"),
        ("attach: signed_request\nsign: {key: k, components: []}", "routes[0].sign.components"),
        ("attach: signed_request\nsign: {key: k, components: ['@target-uri']}", "another scheme to the receiver"),
        ("attach: signed_request\nsign: {key: k, components: ['@scheme']}", "another scheme to the receiver"),
        ("attach: signed_request\nsign: {key: k, components: ['@status']}", "a request has no @status"),
        ("attach: signed_request\nsign: {key: k, components: [X-Order]}", "neither a header in lower case"),
        ("attach: signed_request\nsign: {key: k, components: [signature]}", "the workload's is thrown away"),
        ("attach: signed_request\nsign: {key: k, components: [x-forwarded-for]}", "changed on its way"),
        ("attach: signed_request\nsign: {key: k, components: [x-request-id]}", "changed on its way"),
        ("attach: signed_request\nsign: {key: k, components: [x-ott-subject]}", "changed on its way"),
        ("attach: signed_request\nsign: {key: k, components: ['@path', '@path']}", "stands twice"),
        ("attach: signed_request\nsign: {key: k, expires: 2d}", "between 1s and 1d"),
        ("attach: signed_request\nsign: {key: k, expires: 10ms}", "between 1s and 1d"),
        (
            "attach: signed_request\nallow_unbuffered_empty: true\nsign: {key: k, components: ['@path']}",
            "routes[0].allow_unbuffered_empty: is about the body, which this route does not sign",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(lines: str, message: str) -> None:
    assert message in problems(lines)
