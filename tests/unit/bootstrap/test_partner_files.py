"""Every mistake in partners.yaml and its files is told at once, with its place, and without its secret."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ott_extauthz.authn.padded_base64 import encoded
from ott_extauthz.authn.partners import SharedSecret, SignatureForm
from ott_extauthz.bootstrap.inputs import check_inputs
from ott_extauthz.bootstrap.partner_files import files_of_partners, read_partners
from ott_extauthz.bootstrap.reloading import Sources, sources_of
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.reload.source import InForce, Result, Shown
from ott_extauthz.settings import load
from tests.fakes.clock import FakeClock
from tests.fakes.partners import SIGNING_KEY

SECRETS = {"a.secret": "first-secret-of-the-partner\n", "b.secret": "second-secret-of-the-partner"}
PUBLIC = f"whpk_{encoded(bytes(SIGNING_KEY.verify_key))}"
PSP: dict[str, Any] = {
    "name": "psp",
    "client_id": "psp-client",
    "form": "hmac",
    "keys": [{"kid": "k1", "secret_file": "a.secret"}, {"secret_file": "b.secret"}],
}


def written(folder: Path, *partners: dict[str, Any], **files: str) -> Path:
    for name, text in (SECRETS | {name.replace("_", "."): text for name, text in files.items()}).items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    path = folder / "partners.yaml"
    path.write_text(json.dumps({"partners": partners}) + "\n")
    return path


def problems(path: Path) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        read_partners(path)
    told = [str(problem) for problem in caught.value.problems]
    assert not any("secret-of-the-partner" in one for one in told)
    return told


def test_a_partner_has_all_its_keys_in_their_order(tmp_path: Path) -> None:
    path = written(tmp_path, {**PSP, "scopes": ["hooks:write"]})
    partner = read_partners(path)["psp"]
    assert (partner.client_id, partner.form) == ("psp-client", SignatureForm.HMAC)
    assert partner.scopes == {"hooks:write"}
    assert [key.kid for key in partner.keys] == ["k1", None]
    assert all(isinstance(key, SharedSecret) for key in partner.keys)
    assert list(files_of_partners(path, path.read_text())) == [tmp_path / "a.secret", tmp_path / "b.secret"]
    assert "secret-of-the-partner" not in repr(partner)


def test_every_form_takes_its_own_keys(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {"name": "lab", "client_id": "lab", "form": "eddsa", "keys": [{"public_key_file": "lab.pub"}]},
        {"name": "hook", "client_id": "hook", "form": "standard_webhooks", "keys": [{"secret_file": "h.secret"}]},
        {"name": "bin", "client_id": "b", "form": "hmac", "keys": [{"secret_file": "c.secret", "encoding": "base64"}]},
        lab_pub=PUBLIC,
        h_secret="whsec_" + encoded(b"h" * 24),
        c_secret=encoded(bytes(range(24))),
    )
    partners = read_partners(path)
    assert [key.kid for partner in partners.values() for key in partner.keys] == [None] * 3
    assert partners["bin"].keys == (SharedSecret(secret=bytes(range(24))),)


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    short = {"short_secret": "short"}
    path = written(
        tmp_path,
        {**PSP, "keys": [{"secret_file": "short.secret"}, {"secret_file": "gone.secret"}]},
        {"name": "lab", "client_id": "lab", "form": "eddsa", "keys": [{"public_key_file": "a.secret"}]},
        **short,
    )
    told = problems(path)
    assert len(told) == 3
    for file, why in (("short.secret", "24 to 1024 bytes"), ("gone.secret", "cannot be read"), ("a.secret", "neither")):
        assert any(file in one and why in one for one in told)


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, PSP)
    (tmp_path / "b.secret").chmod(0o644)
    assert [one.endswith("chmod o-rwx") and "b.secret" in one for one in problems(path)] == [True]


def test_a_key_of_another_algorithm_and_a_file_without_end_are_refused(tmp_path: Path) -> None:
    point = ec.generate_private_key(ec.SECP256R1()).public_key()
    path = written(
        tmp_path,
        {"name": "lab", "client_id": "lab", "form": "eddsa", "keys": [{"public_key_file": "p256.pem"}]},
        {"name": "b", "client_id": "b", "form": "eddsa", "keys": [{"public_key_file": "huge.pem"}]},
        p256_pem=point.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        huge_pem=PUBLIC + "\n" * 16_384,
    )
    told = problems(path)
    assert "a key for ecdsa-p256-sha256, with which the form eddsa does not sign" in told[1]
    assert "larger than 16384 bytes" in told[0]


@pytest.mark.parametrize("other", ["a.secret", "c.secret"])
def test_two_partners_with_one_secret_are_refused(tmp_path: Path, other: str) -> None:
    """Whose request would it be?  Also in two files, and in another spelling."""
    keys = [{"secret_file": other, **({"encoding": "base64"} if other == "c.secret" else {})}]
    path = written(
        tmp_path,
        PSP,
        {"name": "other", "client_id": "other", "form": "hmac", "keys": keys},
        c_secret=encoded(SECRETS["a.secret"].strip().encode()),
    )
    (told,) = problems(path)
    assert "partners[1].keys[0]: partners[0].keys[0] is the same key" in told


def test_one_secret_twice_in_one_partner_is_refused_since_taking_one_out_would_not_end_it(tmp_path: Path) -> None:
    (told,) = problems(written(tmp_path, {**PSP, "keys": [{"secret_file": "a.secret"}] * 2}))
    assert "partners[0].keys[1]: partners[0].keys[0] is the same key" in told


def test_the_bytes_of_a_public_key_are_no_secret(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {"name": "lab", "client_id": "lab", "form": "eddsa", "keys": [{"public_key_file": "lab.pub"}]},
        {"name": "b", "client_id": "b", "form": "hmac", "keys": [{"secret_file": "c.secret", "encoding": "base64"}]},
        lab_pub=PUBLIC,
        c_secret=encoded(bytes(SIGNING_KEY.verify_key)),
    )
    (told,) = problems(path)
    assert "a public one taken for a secret" in told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"form": "eddsa"}, "keys[0]: the form eddsa takes public_key_file"),
        ({"form": "http_signatures"}, "keys[1]: kid: an HTTP message signature finds its key by it"),
        ({"form": "md5"}, "form"),
        ({"keys": []}, "keys"),
        ({"keys": [{"secret_file": f"{n}.secret"} for n in range(9)]}, "keys"),
        ({"keys": [{"kid": "k"}]}, "exactly one of secret_file and public_key_file"),
        ({"keys": [{"secret_file": "a.secret", "public_key_file": "x"}]}, "exactly one"),
        ({"keys": [{"public_key_file": "x", "encoding": "text"}]}, "encoding says how a secret is written"),
        ({"keys": [{"kid": "k", "secret_file": "a.secret"}, {"kid": "k", "secret_file": "b.secret"}]}, "one kid"),
        ({"secret": "in the open"}, "unknown key"),
        ({"keys": [{"secret": "in-the-open-in-the-open-in"}]}, "unknown key"),
        ({"name": "not a name"}, "name"),
        ({"client_id": ""}, "client_id"),
        ({"scopes": ["two words"]}, "scopes"),
    ],
)
def test_a_mistake_in_an_entry_has_its_place(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    found = problems(written(tmp_path, {**PSP, **change}))
    assert any("partners[0]" in one and told in one for one in found), found


def test_two_partners_of_one_name_are_refused_beside_other_mistakes(tmp_path: Path) -> None:
    found = problems(written(tmp_path, PSP, {**PSP, "form": "md5"}))
    assert any("partners[1].name: partners[0] has the same name" in one for one in found)
    assert any("form" in one for one in found)
    with pytest.raises(DocumentError):
        read_partners(tmp_path / "none.yaml")


POLICY = """
revision: r1
routes:
  - name: hooks
    match: {{path: /hooks}}
    credential: signed_request
    signed_request: {{{terms}}}
"""


def server(folder: Path, terms: str = "", partners: str | None = "partners.yaml") -> Path:
    (folder / "policy.yaml").write_text(POLICY.format(terms=terms))
    config = folder / "ott.yaml"
    config.write_text("policy: policy.yaml\n" + (f"partners: {partners}\n" if partners else ""))
    return config


def config_problems(config: Path) -> str:
    with pytest.raises(DocumentError) as caught:
        check_inputs(load(config, {}), str(config))
    return "\n".join(map(str, caught.value.problems))


def test_a_policy_cannot_ask_for_what_no_partner_can_send(tmp_path: Path) -> None:
    written(tmp_path, PSP)
    check_inputs(load(server(tmp_path, "partners: [psp]"), {}), "ott.yaml")
    assert "ott.yaml has no partners" in config_problems(server(tmp_path, partners=None))
    assert "partners.yaml has no bank" in config_problems(server(tmp_path, "partners: [bank, psp]"))
    told = config_problems(server(tmp_path, "event: {header: x-event}"))
    assert "the form hmac of psp does not sign x-event" in told
    assert "components" in config_problems(server(tmp_path, 'components: ["@method"]'))
    assert "signed_request.tag: the form hmac" in config_problems(server(tmp_path, "tag: payments"))
    assert "a request has no @status" in config_problems(server(tmp_path, 'components: ["@status"]'))
    told = config_problems(server(tmp_path, """components: ['"x";bs', '"x"; bs']"""))
    assert "stands twice" in told
    check_inputs(load(server(tmp_path, "event: {header: x-nonce}"), {}), "ott.yaml")


def test_a_route_cannot_make_us_try_any_number_of_keys(tmp_path: Path) -> None:
    many = [{**PSP, "name": f"p{n}", "keys": [{"secret_file": f"s{n}-{k}.secret"} for k in range(7)]} for n in range(5)]
    files = {f"s{n}-{k}_secret": f"secret-{n}-{k}-of-many-partners" for n in range(5) for k in range(7)}
    written(tmp_path, *many, **files)
    assert "35 keys of the form hmac would be tried for one request" in config_problems(server(tmp_path))
    check_inputs(load(server(tmp_path, "partners: [p0, p1, p2, p3]"), {}), "ott.yaml")


def test_broken_partners_keep_the_server_from_starting(tmp_path: Path) -> None:
    written(tmp_path, {**PSP, "form": "md5"})
    assert "partners[0].form" in config_problems(server(tmp_path))


class Results:
    def __init__(self) -> None:
        self.told: list[Result] = []

    def reloaded(self, source: Shown, result: Result, before: InForce[Any]) -> None:
        del source, before
        self.told.append(result)


def serving(folder: Path, results: Results) -> Sources:
    config = server(folder, "partners: [psp]")
    settings = load(config, {})
    inputs = check_inputs(settings, str(config))
    return sources_of(settings, inputs, clock=FakeClock(), listener=results, on_fault=pytest.fail)


def test_a_new_secret_comes_into_force_by_itself_and_a_bad_one_does_not(tmp_path: Path) -> None:
    written(tmp_path, PSP)
    results = Results()
    sources = serving(tmp_path, results)
    assert sources.partners is not None
    assert sources.partners in sources.in_files()
    (tmp_path / "a.secret").write_text("third-secret-of-the-partner\n")
    (tmp_path / "b.secret").write_text("fourth-secret-of-the-partner\n")
    for _ in range(3):
        sources.partners.poll()
    assert results.told == [Result.LOADED]
    assert sources.partners_now()["psp"].keys[0] == SharedSecret(secret=b"third-secret-of-the-partner", kid="k1")
    (tmp_path / "a.secret").write_text("short\n")
    for _ in range(3):
        sources.partners.poll()
    assert results.told == [Result.LOADED, Result.REFUSED]
    assert len(sources.partners_now()["psp"].keys) == 2


def test_a_partner_that_is_taken_out_is_out_although_a_policy_names_it(tmp_path: Path) -> None:
    written(tmp_path, PSP)
    results = Results()
    sources = serving(tmp_path, results)
    assert sources.partners is not None
    written(tmp_path, {**PSP, "name": "another"})
    assert sources.partners.reload()
    assert set(sources.partners_now()) == {"another"}
    (tmp_path / "policy.yaml").write_text(POLICY.format(terms="partners: [psp, another]"))
    assert sources.policy.reload()
    assert results.told == [Result.LOADED, Result.REFUSED]


def test_a_policy_and_its_new_partner_may_come_together(tmp_path: Path) -> None:
    """The policy is looked at first, and judged by the partners that are there now."""
    written(tmp_path, PSP)
    results = Results()
    sources = serving(tmp_path, results)
    written(tmp_path, PSP, {**PSP, "name": "new", "keys": [{"secret_file": "c.secret"}]}, c_secret="c" * 24)
    (tmp_path / "policy.yaml").write_text(POLICY.format(terms="partners: [new]"))
    assert [source.reload() for source in sources.in_files()] == [True, True]
    assert results.told == [Result.LOADED, Result.LOADED]
