"""What a Check server that asks issuers starts from, and what keeps it from starting."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from ott_extauthz.bootstrap.inputs import CheckInputs, check_inputs
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.settings import load
from ott_extauthz.stores.signing import new_key
from tests.fakes.certificates import Authority
from tests.fakes.issuer import FakeIssuer

LOGIN, CASINO = "https://login.bank.example", "https://login.casino.example"
BASIC = "authentication: client_secret_basic, secret_file: secret"
ROUTE = """
  - name: {name}
    match: {{hosts: [wallet.api], path: /{name}}}
    credential: {credential}
    audience: wallet.api
    {more}
"""


def entry(issuer: str = LOGIN, client: str = BASIC, more: str = "") -> str:
    return f"  - {{issuer: '{issuer}', endpoint: '{issuer}/introspect', client_id: wallet, {client}{more}}}\n"


def routes(*more: str, credential: str = "access_token") -> str:
    said = [ROUTE.format(name=f"r{number}", credential=credential, more=each) for number, each in enumerate(more)]
    return 'revision: "r1"\nroutes:' + "".join(said)


NAMED = routes(f"issuers: ['{LOGIN}']")
Start = Callable[..., CheckInputs]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    (tmp_path / "secret").write_text("swordfish\n")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "jwks.json").write_bytes(FakeIssuer().jwks())

    def read(*entries: str, policy: str = NAMED, is_trusting: bool = True) -> CheckInputs:
        (tmp_path / "policy.yaml").write_text(policy)
        trust = f"trust: [{{issuer: '{FakeIssuer().issuer}', jwks: jwks.json, algorithms: [EdDSA]}}]\n"
        (tmp_path / "ott.yaml").write_text(
            f"policy: policy.yaml\n{trust if is_trusting else ''}introspection:\n{''.join(entries)}"
        )
        return check_inputs(load(tmp_path / "ott.yaml", {}), "ott.yaml")

    return read


def problems(start: Start, *entries: str, **more: object) -> str:
    with pytest.raises(DocumentError) as caught:
        start(*entries, **more)
    told = str(caught.value)
    assert "swordfish" not in told
    return told


def test_an_issuer_that_is_asked_starts(start: Start) -> None:
    assert start(entry()).policy.revision == "r1"


def test_two_issuers_clients_of_one_name_are_never_one_client(start: Start) -> None:
    told = problems(start, entry(), policy=routes("", f"issuers: ['{LOGIN}', '{FakeIssuer().issuer}']"))
    assert "route r0: takes access tokens of several issuers" in told
    assert "route r1" not in told


def test_where_everybody_is_asked_nobodys_keys_need_be_trusted(start: Start) -> None:
    named = f"issuers: ['{LOGIN}']"
    assert start(entry(), policy=routes(""), is_trusting=False).trust == {}
    assert start(entry(), policy=routes(named, named), is_trusting=False).trust == {}
    ours = f"issuers: ['{FakeIssuer().issuer}']"
    assert "trust: required" in problems(start, entry(), policy=routes(named, ours), is_trusting=False)
    assert "trust: required" in problems(start, entry(), policy=routes("", credential="mandate"), is_trusting=False)


def test_a_token_is_shown_to_its_own_issuer_alone(start: Start) -> None:
    """Two issuers whose tokens look alike would each be shown those of the other."""
    both = entry(), entry(CASINO)
    told = problems(start, *both, policy=routes("", f"issuers: ['{LOGIN}']", f"issuers: ['{LOGIN}', '{CASINO}']"))
    assert "route r0: takes opaque tokens of several issuers" in told
    assert "route r2: takes opaque tokens" in told
    assert "route r1" not in told
    prefixed = entry(more=", prefix: bk_"), entry(CASINO, more=", prefix: cs_")
    assert start(*prefixed, policy=routes(f"issuers: ['{LOGIN}', '{CASINO}']")).trust
    told = problems(start, *prefixed, policy=routes(""), is_trusting=False)
    assert "route r0: takes access tokens of several issuers" in told  # whose users and clients may have one name
    assert start(*both, policy=routes("", credential="one_time_token")).trust


def test_an_issuer_stands_once(start: Start) -> None:
    assert "an issuer stands twice" in problems(start, entry(), entry())


@pytest.mark.parametrize(("tokens", "is_refused"), [
    pytest.param("", True, id="access-tokens"), pytest.param(", tokens: [one_time_token]", False, id="one-time-only"),
])  # fmt: skip
def test_no_format_gets_round_an_issuer_that_is_always_asked(start: Start, tokens: str, *, is_refused: bool) -> None:
    keys = "jwks: jwks.json, algorithms: [EdDSA], format: paseto"
    paseto = f", always: true}}\ntrust:\n  - {{issuer: '{LOGIN}', {keys}{tokens}"
    if is_refused:
        assert "nobody is asked about those" in problems(start, entry(more=paseto), is_trusting=False)
    else:
        assert start(entry(more=paseto), is_trusting=False).paseto_trust


def test_every_file_is_tried_before_the_start(start: Start, tmp_path: Path) -> None:
    def told(client: str = BASIC, more: str = "") -> str:
        return problems(start, entry(client=client, more=more))

    certificate, key = Authority().leaf("wallet", dns=("wallet.bank.example",)).write(tmp_path, "wallet")
    other = Authority().leaf("other", dns=("wallet.bank.example",)).write(tmp_path, "other")[1]
    (tmp_path / "empty").touch(mode=0o600)
    (tmp_path / "bytes").touch(mode=0o600)
    (tmp_path / "bytes").write_bytes(b"\xff")
    pem = new_key("ES256").private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "es256.pem").touch(mode=0o600)
    (tmp_path / "es256.pem").write_bytes(pem)
    place = "ott.yaml: introspection[0]."
    basic = "authentication: client_secret_basic, secret_file: "
    assert place + "secret_file: " in told(basic + "none")
    assert "empty: empty" in told(basic + "empty")
    assert "bytes: not ASCII" in told(basic + "bytes")
    assert "secret: no certificate in PEM form" in told(more=", ca: secret")
    assert place + "ca: " in told(more=", ca: none")
    mtls = f"authentication: tls_client_auth, certificate: {certificate.name}, key: "
    assert start(entry(client=mtls + key.name)).trust
    assert place + "certificate: " in told(mtls + other.name)
    assert place + "certificate: " in told(mtls + "none")
    signed = "authentication: private_key_jwt, algorithm: ES256, key: "
    assert start(entry(client=signed + "es256.pem")).trust
    assert "no key that EdDSA may sign with" in told(signed.replace("ES256", "EdDSA") + "es256.pem")
    assert "secret: no unencrypted PKCS#8 private key" in told(signed + "secret")
    assert place + "key: " in told(signed + "none")
    for path in ("secret", "es256.pem"):
        (tmp_path / path).chmod(0o644)
    assert "a secret readable by all" in told()
    assert "a secret readable by all" in told(signed + "es256.pem")
