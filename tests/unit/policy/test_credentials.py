"""What a route's author may write about its credentials, and what not."""

import pytest

from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.policy.document import policy_from
from ott_extauthz.policy.routes import Asks, BoundTo, CredentialKind, Route, VerifiedBy

HEAD = """
revision: "r1"
routes:
  - name: pay
    match: {path: /pay}
"""


def route(keys: str) -> Route:
    (found,) = policy_from(HEAD + keys, "p.yaml").table.routes
    return found


def problems(keys: str) -> list[str]:
    with pytest.raises(DocumentError) as raised:
        policy_from(HEAD + keys, "p.yaml")
    return [str(problem).partition(": ")[2] for problem in raised.value.problems]


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ("    credential: one_time_token\n    audience: a\n", ("x-ott", None)),
        ("    credential: mandate\n    audience: a\n", ("authorization", "Bearer")),
        ("    credential: access_token\n    audience: a\n", ("authorization", "Bearer")),
        ("    credential: access_token\n    audience: a\n    bound_to: [dpop]\n", ("authorization", "DPoP")),
        ("    credential: one_time_token\n    audience: a\n    bound_to: [dpop]\n", ("x-ott", None)),
        ("    credential: api_key\n", ("x-api-key", None)),
        ("    credential: api_key\n    from: {header: authorization, scheme: ApiKey}\n", ("authorization", "ApiKey")),
        ("    credential: signed_request\n", ("", None)),
        ("    credential: certificate\n    certificate: {dns: [a.example]}\n", ("", None)),
    ],
)
def test_each_kind_has_its_usual_place(keys: str, place: tuple[str, str | None]) -> None:
    asks = route(keys).asks
    assert (asks.header, asks.scheme) == place


def test_a_combination_has_its_parts_in_order() -> None:
    found = route("""    audience: a
    any_of:
      - {credential: one_time_token, verified_by: envoy, issuers: ["https://i.example"]}
      - {credential: certificate, certificate: {spiffe_ids: ["spiffe://bank.example/rgs"]}}
""")
    assert found.credential is CredentialKind.ANY_OF
    assert [asks.credential for asks in found.parts] == [CredentialKind.ONE_TIME_TOKEN, CredentialKind.CERTIFICATE]
    assert found.asks == Asks(
        credential=CredentialKind.ONE_TIME_TOKEN,
        bound_to=frozenset({BoundTo.CERTIFICATE}),
        issuers=frozenset({"https://i.example"}),
        verified_by=VerifiedBy.ENVOY,
    )
    assert found.parts[1].callers is not None
    assert found.parts[1].callers.spiffe_ids == frozenset({"spiffe://bank.example/rgs"})


def test_what_a_signed_request_must_be() -> None:
    terms = route("""    credential: signed_request
    signed_request:
      {partners: [psp], window: 1m, ahead: 5s, components: ["@method"], event: {pointer: /id, on_repeat: 200}}
""").asks.signed
    assert terms is not None
    assert (terms.partners, terms.window_ms, terms.ahead_ms) == (frozenset({"psp"}), 60_000, 5_000)
    assert [component.name for component in terms.components] == ["@method"]
    assert terms.event is not None
    assert terms.event.pointer is not None
    assert terms.event.pointer.steps == ("id",)
    assert (terms.event.kept_ms, terms.event.repeat_status) == (86_400_000, 200)


KEY = "    credential: api_key\n"
FOR_A = "    audience: a\n    "


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        (KEY + "    bound_to: [certificate]\n", "routes[0].bound_to: says nothing about credential api_key"),
        (KEY + "    issuers: [x]\n", "routes[0].issuers: says nothing about"),
        (KEY + "    verified_by: envoy\n", "routes[0].verified_by: says nothing about"),
        (KEY + "    encrypted: true\n", "routes[0].encrypted: is about tokens"),
        (KEY + "    signed_request: {window: 1m}\n", "routes[0].signed_request: says nothing about"),
        (KEY + "    from: {cookie: key}\n", "routes[0].from.cookie: only an access token"),
        ("    credential: signed_request\n    from: {header: x-a}\n", "routes[0].from: says nothing about"),
        ("    credential: certificate\n", "routes[0].certificate: required"),
        ("    credential: certificate\n    certificate: {}\n", "routes[0].certificate: required"),
        ("    credential: access_token\n", "routes[0].audience: required"),
        (
            "    credential: access_token\n    audience: a\n    from: {cookie: t, header: x-a}\n",
            "routes[0].from: either header (and scheme) or cookie",
        ),
        (
            "    credential: signed_request\n    signed_request: {event: {keep: 1h}}\n",
            "routes[0].signed_request.event: exactly one of header and pointer",
        ),
        (
            "    credential: signed_request\n    signed_request: {event: {pointer: /id, on_repeat: 202}}\n",
            "routes[0].signed_request.event.on_repeat",
        ),
        (
            KEY + "    any_of: [{credential: api_key}, {credential: signed_request}]\n",
            "routes[0].any_of: stands instead of credential",
        ),
        ("    any_of: [{credential: api_key}]\n", "routes[0].any_of: "),
        ("    all_of: []\n", "routes[0].all_of: "),
        (
            "    any_of: [{credential: api_key}, {credential: public}]\n",
            "routes[0].any_of[1].credential: Input should be",
        ),
        (
            "    any_of: [{credential: api_key}, {credential: api_key}]\n",
            "routes[0].any_of[1]: stands in the same place as one above it: x-api-key",
        ),
        (
            "    audience: a\n    any_of: [{credential: access_token}, {credential: mandate}]\n",
            "routes[0].any_of[1]: stands in the same place as one above it: authorization bearer",
        ),
        (
            "    all_of: [{credential: signed_request}, {credential: signed_request}]\n",
            "routes[0].all_of[1]: stands in the same place as one above it: the signed request",
        ),
        (
            FOR_A
            + "any_of: [{credential: one_time_token}, {credential: access_token, from: {header: x-ott, scheme: B}}]\n",
            "routes[0].any_of[1]: x-ott stands here with a scheme and without one",
        ),
        (
            FOR_A
            + "any_of: [{credential: access_token, from: {header: x-ott, scheme: B}}, {credential: one_time_token}]\n",
            "routes[0].any_of[1]: x-ott stands here with a scheme and without one",
        ),
        (
            FOR_A
            + "all_of: [{credential: mandate}, {credential: api_key, from: {header: authorization, scheme: K}}]\n",
            "routes[0].all_of[1]: authorization has one value, and one above it stands there already",
        ),
        (
            FOR_A
            + "any_of: [{credential: access_token, from: {cookie: t}}, {credential: mandate, from: {cookie: t}}]\n",
            "routes[0].any_of[1]: stands in the same place as one above it: cookie t",
        ),
        (
            "    any_of: [{credential: certificate, certificate: {dns: [a]}}, {credential: api_key}]\n",
            "routes[0].any_of[0]: a certificate comes with every request",
        ),
        (
            "    bound_to: [certificate]\n    any_of: [{credential: api_key}, {credential: signed_request}]\n",
            "routes[0].bound_to: belongs to one credential",
        ),
        (
            "    any_of: [{credential: one_time_token}, {credential: api_key}]\n",
            "routes[0].audience: required",
        ),
        (
            "    audience: a\n    any_of: [{credential: one_time_token, bound_to: []}, {credential: api_key}]\n",
            "routes[0].any_of[0].bound_to: an unbound token works for whoever holds it",
        ),
        ("    credential: public\n    certificate: {dns: [a]}\n", "routes[0].certificate: a public route asks for no"),
        ("    attach: one_time_token\n    audience: a\n    issuers: [x]\n", "routes[0].issuers: an attaching route"),
        ("    audience: a\n", "routes[0].credential: required"),
    ],
)
def test_what_would_guard_nothing_is_told(keys: str, complaint: str) -> None:
    assert [line for line in problems(keys) if complaint in line]


def test_one_place_under_two_schemes_is_two_places() -> None:
    found = route("""    audience: a
    any_of:
      - {credential: access_token}
      - {credential: access_token, bound_to: [dpop]}
      - {credential: access_token, from: {cookie: session}}
""")
    assert [asks.scheme for asks in found.parts] == ["Bearer", "DPoP", "Bearer"]
