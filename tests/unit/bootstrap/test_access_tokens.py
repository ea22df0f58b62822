"""From ott.yaml to what judges: a foreign issuer's entry reaches access tokens, and nothing else; routes name whom."""

from pathlib import Path

import pytest

from ott_extauthz.bootstrap.access_tokens import access_tokens, issuers_for
from ott_extauthz.bootstrap.check_server import build
from ott_extauthz.bootstrap.credentials import credentials_from
from ott_extauthz.bootstrap.inputs import check_inputs
from ott_extauthz.bootstrap.introspection import Introspectors
from ott_extauthz.check.credentials.tokens import TokenCredential
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import VerifiedToken
from ott_extauthz.observe.log import new_logger
from ott_extauthz.policy.routes import CredentialKind
from ott_extauthz.settings import Settings, load
from tests.fakes.foreign import IDP, OTHER_IDP, FakeIdp
from tests.fakes.issuer import AUDIENCE, ISSUER, NOW_MS, FakeIssuer

OWN, IDP_FAKE, OTHER = FakeIssuer(), FakeIdp(), FakeIdp(OTHER_IDP, kid="other-1", seed=b"\5" * 32)
OWN_ENTRY = f"  - {{issuer: {ISSUER}, jwks: own.json, algorithms: [EdDSA]}}\n"
IDP_ENTRY = f"  - {{issuer: {IDP}, jwks: idp.json, algorithms: [EdDSA], access_tokens: {{}}}}\n"
OTHER_ENTRY = (
    f"  - {{issuer: {OTHER_IDP}, jwks: other.json, algorithms: [EdDSA], access_tokens: {{plain: true, scope: scp, "
    "client_id: azp, audiences: {wallet.api: ['api://wallet']}, max_lifetime: 2h}}\n"
)


def settings_of(folder: Path, trust: str, *routes: str) -> Settings:
    for name, issuer in (("own", OWN), ("idp", IDP_FAKE), ("other", OTHER)):
        (folder / f"{name}.json").write_bytes(issuer.jwks())
    lines = [
        f"  - {{name: r{number}, match: {{path: /{number}}}, audience: wallet.api, {route}}}\n"
        for number, route in enumerate(routes)
    ]
    (folder / "policy.yaml").write_text('revision: "1"\nroutes:\n' + "".join(lines))
    (folder / "ott.yaml").write_text("policy: policy.yaml\ntrust:\n" + trust)
    return load(folder / "ott.yaml", {})


def why(folder: Path, trust: str, *routes: str) -> str:
    with pytest.raises(DocumentError) as raised:
        check_inputs(settings_of(folder, trust, *routes), "ott.yaml")
    return "\n".join(map(str, raised.value.problems))


ANY = "credential: access_token"


def test_a_route_that_takes_several_issuers_with_a_foreign_one_says_which(tmp_path: Path) -> None:
    """Two issuers may each have a client `rgs`, and a user `7`."""
    said = why(tmp_path, OWN_ENTRY + IDP_ENTRY, ANY)
    assert "route r0: takes access tokens of several issuers, a foreign one among them" in said
    named = f"credential: access_token, issuers: ['{ISSUER}', '{IDP}']"
    for trust, route in [(OWN_ENTRY + IDP_ENTRY, named), (IDP_ENTRY, ANY), (OWN_ENTRY, ANY)]:
        check_inputs(settings_of(tmp_path, trust, route), "ott.yaml")
    check_inputs(settings_of(tmp_path, OWN_ENTRY + IDP_ENTRY, "credential: mandate"), "ott.yaml")


@pytest.mark.parametrize("kind", ["one_time_token", "mandate", "access_token"])
def test_a_route_names_only_issuers_that_make_what_it_asks_for(tmp_path: Path, kind: str) -> None:
    said = why(tmp_path, OWN_ENTRY + IDP_ENTRY, f"credential: {kind}, issuers: ['{IDP}', 'https://nobody.example']")
    assert f"issuers: no entry of trust has 'https://nobody.example' for {kind}" in said
    assert (f"'{IDP}' for {kind}" in said) is (kind != "access_token")


def test_each_part_of_a_combination_is_held_to_it(tmp_path: Path) -> None:
    parts = "any_of: [{credential: one_time_token}, {credential: access_token, issuers: [https://nobody.example]}]"
    assert "https://nobody.example" in why(tmp_path, OWN_ENTRY, parts)


def test_a_foreign_entry_reaches_access_tokens_and_nothing_else(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, OWN_ENTRY + IDP_ENTRY + OTHER_ENTRY, "credential: one_time_token")
    trust = check_inputs(settings, "ott.yaml").trust
    for kind in (CredentialKind.ONE_TIME_TOKEN, CredentialKind.MANDATE):
        assert list(issuers_for(kind, settings.trust, trust)) == [ISSUER]
    assert len(issuers_for(CredentialKind.ACCESS_TOKEN, settings.trust, trust)) == 3
    judge = access_tokens(settings.trust, trust, settings.clock)
    text = OTHER.plain_token(aud="api://wallet", exp=NOW_MS // 1000 + 7140)
    assert isinstance(judge.verify(text, audience=AUDIENCE, now_ms=NOW_MS), VerifiedToken)
    too_long = judge.verify(OTHER.plain_token(aud="api://wallet", exp=NOW_MS // 1000 + 7141), audience=AUDIENCE,
                            now_ms=NOW_MS)  # fmt: skip
    assert too_long == Rejection(Reason.TOKEN_LIFETIME_TOO_LONG)


def test_a_running_server_takes_no_one_time_token_and_no_mandate_of_a_foreign_issuer(tmp_path: Path) -> None:
    """Signed with a good key, of the right type, for the right audience: still not theirs to make."""
    settings = settings_of(tmp_path, OWN_ENTRY + IDP_ENTRY, "credential: one_time_token")
    app = build(settings, check_inputs(settings, "ott.yaml"), address=f"unix://{tmp_path}/c.sock",
                logger=new_logger("error"))  # fmt: skip
    kinds = credentials_from(settings, app.sources, Introspectors()).of
    details = [{"type": "mandate", "brand": "A"}]
    for kind, typ in ((CredentialKind.ONE_TIME_TOKEN, "ott+jwt"), (CredentialKind.MANDATE, "at+jwt")):
        judge = kinds[kind]
        assert isinstance(judge, TokenCredential)
        for issuer, reason in ((OWN, None), (IDP_FAKE, Reason.TOKEN_ISSUER_UNKNOWN)):
            text = issuer.token(issuer.claims(authorization_details=details), {"typ": typ})
            found = judge.verify(text, audience=AUDIENCE, now_ms=NOW_MS)
            assert (found.reason if isinstance(found, Rejection) else None) is reason


def test_an_issuer_may_be_narrowed_to_one_kind(tmp_path: Path) -> None:
    entry = OWN_ENTRY.replace("}\n", ", tokens: [mandate]}\n")
    assert f"no entry of trust has '{ISSUER}' for one_time_token" in why(
        tmp_path, entry, f"credential: one_time_token, issuers: ['{ISSUER}']"
    )
    settings = settings_of(tmp_path, entry, "credential: mandate")
    trust = check_inputs(settings, "ott.yaml").trust
    assert list(issuers_for(CredentialKind.MANDATE, settings.trust, trust)) == [ISSUER]
    assert not issuers_for(CredentialKind.ONE_TIME_TOKEN, settings.trust, trust)
