"""clients.yaml: what it grants, and that nothing in it is passed over."""

import pytest

from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.issuer.clients import Clients, clients_from

GOOD = """
clients:
  - client_id: rgs
    authentication: tls_client_auth
    certificate: {spiffe_id: "spiffe://bank.example/rgs"}
    audiences:
      wallet.api: {scopes: ["wallet:debit", "wallet:read"], lifetime: 20s, max_lifetime: 60s}
      https://ledger.example/v1: {scopes: ["ledger:write"]}
"""


def entry(**lines: str) -> str:
    parts = {
        "client_id": "rgs",
        "authentication": "tls_client_auth",
        "certificate": "{dns: rgs.bank.example}",
        "audiences": "{wallet.api: {scopes: [a]}}",
    } | lines
    return "clients:\n  - " + "\n    ".join(f"{name}: {value}" for name, value in parts.items() if value) + "\n"


def problems(text: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        clients_from(text, "clients.yaml")
    return [str(problem) for problem in caught.value.problems]


def read(text: str) -> Clients:
    return clients_from(text, "clients.yaml")


def test_the_designs_example_without_what_this_version_has_not() -> None:
    client = read(GOOD)["rgs"]
    assert client.certificate is not None
    assert client.certificate.spiffe_id == "spiffe://bank.example/rgs"
    assert client.audiences["wallet.api"].scopes == ["wallet:debit", "wallet:read"]
    assert list(client.audiences) == ["wallet.api", "https://ledger.example/v1"]


@pytest.mark.parametrize(
    ("grant", "lifetime_ms"),
    [
        ("scopes: [a]", 30_000),
        ("scopes: [a], lifetime: 45s", 45_000),
        ("scopes: [a], max_lifetime: 10s", 10_000),
        ("scopes: [a], lifetime: 5s, max_lifetime: 10s", 5_000),
    ],
)
def test_lifetime_is_the_grants_else_the_issuers_and_never_above_the_maximum(grant: str, lifetime_ms: int) -> None:
    client = read(entry(audiences=f"{{wallet.api: {{{grant}}}}}"))["rgs"]
    assert client.audiences["wallet.api"].lifetime_ms(30_000) == lifetime_ms


@pytest.mark.parametrize(
    ("method", "known_by"),
    [
        ("tls_client_auth", {"certificate": "{dns: a.example}"}),
        ("self_signed_tls_client_auth", {"certificate_file": "a.pem"}),
        ("self_signed_tls_client_auth", {"jwks": "a.json"}),
        ("self_signed_tls_client_auth", {"certificate": "{sha256: " + "0" * 64 + "}"}),
        ("private_key_jwt", {"jwks": "a.json"}),
        ("private_key_jwt", {"jwks": "a.json", "unbound": "accept the risk"}),
        ("client_secret_basic", {"secret": "a.secret"}),
    ],
)
def test_each_method_has_what_its_client_is_known_by(method: str, known_by: dict[str, str]) -> None:
    assert read(entry(**({"authentication": method, "certificate": ""} | known_by)))["rgs"].authentication == method


@pytest.mark.parametrize(
    ("method", "known_by", "place", "said"),
    [
        ("tls_client_auth", {"jwks": "a.json"}, "certificate", "required for tls_client_auth"),
        ("tls_client_auth", {"certificate": "{dns: a}", "jwks": "a"}, "jwks", "not for tls_client_auth"),
        ("tls_client_auth", {"certificate": "{dns: a}", "unbound": "accept the risk"}, "unbound", "bound to the"),
        ("self_signed_tls_client_auth", {}, "certificate", "exactly one of certificate_file"),
        ("self_signed_tls_client_auth", {"certificate_file": "a", "jwks": "b"}, "certificate_file", "exactly one of"),
        ("self_signed_tls_client_auth", {"certificate": "{dns: a.example}"}, "certificate", "nobody vouches for"),
        ("private_key_jwt", {}, "jwks", "required for private_key_jwt"),
        ("private_key_jwt", {"jwks": "a", "secret": "b"}, "secret", "not for private_key_jwt"),
        ("private_key_jwt", {"jwks": "a", "unbound": "yes"}, "unbound", "accept the risk"),
        ("client_secret_basic", {"certificate": "{dns: a}"}, "secret", "required for client_secret_basic"),
        ("client_secret_post", {"secret": "a"}, "authentication", "tls_client_auth"),
    ],
)
def test_a_client_is_known_by_one_thing_and_that_of_its_method(
    method: str, known_by: dict[str, str], place: str, said: str
) -> None:
    found = problems(entry(**({"authentication": method, "certificate": ""} | known_by)))
    assert [problem for problem in found if f"clients[0].{place}:" in problem and said in problem], found


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("audiences", "{wallet.api: {scopes: [a], region: EU}}"),
        ("audiences", "{wallet.api: {scopes: [a], min_amount: 5}}"),
        ("delegates", "[]"),
        ("client_secret", "hunter2"),
    ],
)
def test_ceilings_that_nobody_would_hold_cannot_be_written(where: str, line: str) -> None:
    assert any("unknown key" in problem for problem in problems(entry(**{where: line})))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("certificate", "{}", "exactly one of"),
        ("certificate", "{dns: a.example, sha256: " + "0" * 64 + "}", "exactly one of"),
        ("certificate", "{spiffe_id: 'spiffe://bank.example'}", "spiffe://trust-domain/path"),
        ("certificate", "{spiffe_id: 'spiffe://bank.example/a/../b'}", "spiffe://trust-domain/path"),
        ("certificate", "{spiffe_id: 'https://bank.example/a'}", "spiffe://trust-domain/path"),
        ("certificate", "{sha256: abc}", "64 hexadecimal digits"),
        ("certificate", "{dns: '*.bank.example'}", "without wildcard"),
        ("certificate", "{subject_dn: rgs}", "RFC 4514"),
        ("certificate", "{subject_dn: ''}", "RFC 4514"),
        ("certificate", "{issuer: x}", "unknown key"),
        ("client_id", '"r g s"', "pattern"),
        ("client_id", '""', "pattern"),
        ("audiences", "{}", "at least 1"),
        ("audiences", "{wallet.api: {scopes: []}}", "at least 1"),
        ("audiences", "{wallet.api: {scopes: [a, a]}}", "a scope stands twice"),
        ("audiences", "{wallet.api: {scopes: ['a b']}}", "pattern"),
        ("audiences", '{"wallet api": {scopes: [a]}}', "pattern"),
        ("audiences", "{wallet.api: {scopes: [a], lifetime: 0s}}", "between 1s and 300s"),
        ("audiences", "{wallet.api: {scopes: [a], lifetime: 301s}}", "between 1s and 300s"),
        ("audiences", "{wallet.api: {scopes: [a], max_lifetime: 1h}}", "between 1s and 300s"),
        ("audiences", "{wallet.api: {scopes: [a], lifetime: 30}}", "a duration is a number with a unit"),
        ("audiences", "{wallet.api: {scopes: [a], lifetime: 20s, max_lifetime: 10s}}", "longer than max_lifetime"),
        ("authentication", "none", "tls_client_auth"),
        ("authentication", "", "required"),
        ("certificate", "", "required"),
    ],
)
def test_mistakes_are_told_with_their_place(field: str, value: str, said: str) -> None:
    found = problems(entry(**{field: value}))
    assert len(found) == 1
    assert said in found[0]
    assert f"clients[0].{field}" in found[0]


@pytest.mark.parametrize("text", ["", "clients: []", "clients:", "[]", "clients: {}", "others: 1"])
def test_no_clients_is_a_mistake(text: str) -> None:
    assert problems(text)


def two(first: str, second: str) -> str:
    return entry(certificate=first) + entry(certificate=second, client_id="other").removeprefix("clients:\n")


def test_a_client_id_twice_is_a_mistake_with_its_place() -> None:
    text = entry() + entry(certificate="{dns: other.example}").removeprefix("clients:\n")
    assert problems(text) == ["clients.yaml:6:16: clients[1].client_id: clients[0] has the same client_id"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{dns: RGS.bank.example}", "{dns: rgs.bank.example}"),
        ("{sha256: " + "AB" * 32 + "}", "{sha256: '" + ":".join(["ab"] * 32) + "'}"),
        ("{spiffe_id: 'spiffe://b/x'}", "{spiffe_id: 'spiffe://b/x'}"),
        ("{subject_dn: 'CN=rgs,O=Bank'}", "{subject_dn: 'CN=\\72gs,O=Bank'}"),
    ],
)
def test_one_certificate_for_two_clients_is_a_mistake_however_it_is_spelled(first: str, second: str) -> None:
    found = problems(two(first, second))
    assert len(found) == 1
    assert "clients[1].certificate." in found[0]
    assert "clients[0] has the same" in found[0]


def test_a_double_is_reported_together_with_every_other_mistake() -> None:
    text = entry(audiences="{}") + entry(authentication="none").removeprefix("clients:\n")
    found = problems(text)
    assert [
        part for part in ("at least 1", "tls_client_auth", "same client_id", "same dns") if part not in str(found)
    ] == []
    assert len(found) == 4


def test_entries_that_are_no_mappings_are_mistakes_beside_the_others() -> None:
    text = "clients:\n  - rgs\n  - {client_id: 7, certificate: x}\n" + entry().removeprefix("clients:\n")
    found = problems(text)
    assert any("clients[0]" in problem for problem in found)
    assert any("clients[1].client_id" in problem for problem in found)
    assert not any("clients[2]" in problem for problem in found)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{wallet.api: {scopes: [a], tokens: [id_token]}}", "one_time_token, mandate, access_token, transaction_token"),
        ("{wallet.api: {scopes: [a], tokens: []}}", "at least 1"),
        ("{wallet.api: {scopes: [a], tokens: [mandate, mandate]}}", "stands twice"),
        ("{wallet.api: {scopes: [a], tokens: [mandate, transaction_token]}}", "stands alone"),
        ("{wallet.api: {scopes: [a], access_lifetime: 301s}}", "between 1s and 300s"),
        ("{wallet.api: {scopes: [a], access_lifetime: 20s, max_lifetime: 10s}}", "longer than max_lifetime"),
        ('{wallet.api: {scopes: [a], max_amount: "5"}}', "an amount is written"),
        ("{wallet.api: {scopes: [a], max_amount: {value: 5.5, currency: EUR}}}", "decimal text"),
        ("{wallet.api: {scopes: [a], brands: []}}", "one value, or a list"),
        ("{wallet.api: {scopes: [a], cidr: 10.0.0.1/8}}", "not a network"),
        ("{wallet.api: {scopes: [a], time_of_day: {from: '1:00', to: '02:00', zone: UTC}}}", "a time is written"),
        ("{wallet.api: {scopes: [a], rate_limit: 5}}", "a rate is written"),
        ("{wallet.api: {scopes: [a], budget: {}}}", "a budget is written"),
        ("{wallet.api: {scopes: [a], budget: {total: 5}}}", "a budget is written"),
        ("{wallet.api: {scopes: [a], budget: {count: 0}}}", "count"),
        ("{wallet.api: {scopes: [a], impersonates: maybe}}", "boolean"),
        ("{wallet.api: {scopes: [a], workload_bound: maybe}}", "boolean"),
    ],
)
def test_what_a_grant_cannot_say(line: str, said: str) -> None:
    assert any(said in problem for problem in problems(entry(audiences=line)))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[{client: lobby}]", "required"),
        ("[{targets: [wallet.api]}]", "exactly one of issuer"),
        ("[{client: lobby, issuer: 'https://login.example', targets: [wallet.api]}]", "exactly one of issuer"),
        ("[{client: lobby, targets: []}]", "at least 1"),
        ("[{client: lobby, targets: [ledger.api]}]", "none of the client's audiences"),
        ("[{client: lobby, targets: [wallet.api], subjects: []}]", "at least 1"),
        ("[{client: lobby, targets: [wallet.api], subjects: some}]", "delegates_for"),
        ("[{client: lobby, targets: [wallet.api], subject: x}]", "unknown key"),
    ],
)
def test_what_a_delegation_cannot_say(line: str, said: str) -> None:
    assert any(said in problem for problem in problems(entry(delegates_for=line)))


def test_nobody_delegates_or_is_an_audience_or_has_more_than_one_time_tokens_by_default() -> None:
    client = read(entry())["rgs"]
    grant = client.audiences["wallet.api"]
    assert (client.delegates_for, client.is_audience, grant.impersonates) == ([], [], False)
    assert not grant.workload_bound
    assert grant.tokens == ["one_time_token"]


def test_a_resource_server_may_only_ask_about_tokens() -> None:
    text = "clients: [{client_id: ledger, authentication: tls_client_auth, certificate: {dns: a.b}, introspects: [l]}]"
    client = read(text)["ledger"]
    assert (client.introspects, client.audiences) == (["l"], {})


def test_a_client_that_may_do_nothing_is_a_mistake() -> None:
    text = "clients: [{client_id: idle, authentication: tls_client_auth, certificate: {dns: a.b}}]"
    assert "audiences or introspects" in problems(text)[0]


@pytest.mark.parametrize("word", ["off", "true", "optional"])
def test_dpop_is_required_or_left_out(word: str) -> None:
    assert "dpop" in problems(entry(dpop=word))[0]
    assert read(entry(dpop="required"))["rgs"].needs_dpop


RING = "ring: pasetos, format: paseto"


def test_an_audience_may_have_its_tokens_as_paseto_from_a_ring_of_their_own() -> None:
    client = read(entry(audiences=f"{{wallet.api: {{scopes: [a], {RING}}}, ledger.api: {{scopes: [a]}}}}"))["rgs"]
    assert [grant.format for grant in client.audiences.values()] == ["paseto", "jwt"]


@pytest.mark.parametrize(
    ("audiences", "problem"),
    [
        ("{wallet.api: {scopes: [a], format: paseto}}", "needs a ring that signs no JWT"),
        (f"{{a: {{scopes: [a], {RING}}}, b: {{scopes: [a], ring: pasetos}}}}", "needs a ring that signs no JWT"),
        (f"{{a: {{scopes: [a], {RING}, tokens: [access_token]}}}}", "paseto is for one_time_token alone"),
        (f"{{a: {{scopes: [a], {RING}, tokens: [one_time_token, mandate]}}}}", "paseto is for one_time_token alone"),
        ("{a: {scopes: [a], ring: x, format: v4.local}}", "format"),
    ],
)
def test_one_key_signs_one_format(audiences: str, problem: str) -> None:
    assert problem in "\n".join(problems(entry(audiences=audiences)))
