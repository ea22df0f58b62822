"""ott.yaml and OTT_ variables: what is unsafe does not start, and every mistake is shown at once."""

from pathlib import Path

import pytest

from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.sections.rings import KeyDirectory
from ott_extauthz.sections.words import host_and_port
from ott_extauthz.settings import Settings, load, schema


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "ott.yaml"


def loaded(config: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    config.write_text(text)
    return load(config, environ or {})


def problems(config: Path, text: str, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(DocumentError) as caught:
        loaded(config, text, environ)
    return str(caught.value).replace(str(config), "ott.yaml")


def test_an_empty_file_has_the_documented_defaults(config: Path) -> None:
    settings = loaded(config, "")
    assert settings.listen.check == ["127.0.0.1:9001"]
    assert settings.store.is_memory
    assert (settings.clock.max_skew, settings.clock.iat_lead, settings.clock.exp_leeway) == (500, 500, 2000)
    assert settings.client_certificate.source == "peer"
    assert settings.listen.chosen_transport == "native"
    assert (settings.reload.every, loaded(config, "reload: {every: 0s}").reload.every) == (1000, 0)


def test_relative_paths_belong_to_the_file_that_names_them(config: Path) -> None:
    text = "policy: p.yaml\ntrust: [{issuer: a, jwks: /abs/j.json, algorithms: [EdDSA]}]\naudit: {path: audit/}"
    settings = loaded(config, text)
    assert settings.policy == [config.parent / "p.yaml"]
    assert settings.audit is not None
    assert settings.audit.path == config.parent / "audit"
    assert settings.trust is not None
    assert settings.trust[0].jwks == Path("/abs/j.json")


@pytest.mark.parametrize(
    "store",
    [
        "'redis+sentinel://a,b:1,[::1]:2/ott/3'",
        "'rediss+sentinel://u@a/5'",
        "'redis+cluster://u@a,b,c:7000/'",
        "'redis+quorum://a,b,c,d,e/2'",
        "{url: 'redis://a', wait: all, replicas: 2}",
        "{url: 'redis+cluster://a', wait: 1}",
    ],
)
def test_a_store_may_be_several_servers(config: Path, store: str) -> None:
    assert loaded(config, f"store: {store}").store.url


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("listen: {check: [127.0.0.1:1, 127.0.0.1:2]}", "store memory:// lives in one process"),
        ("listen: {check: [127.0.0.1:1, 127.0.0.1:1]}\nstore: redis://h", "an address stands twice"),
        ("listen: {check: []}", "ott.yaml:1:17: listen.check"),
        ("listen: {check: localhost}", "an address is written host:port"),
        ("listen: {check: unix://run/x}", "unix:///absolute/path"),
        ("listen: {check: 127.0.0.1:99999}", "an address is written host:port"),
        ("listen: {transport: native, tls: {certificate: a, key: b}}", "transport native serves no TLS"),
        ("trust: []", "ott.yaml:1:8: trust"),
        ("trust: [{issuer: a, jwks: j, algorithms: []}]", "trust[0].algorithms"),
        ("trust: [{issuer: a, jwks: j, algorithms: [HS256]}]", "trust[0].algorithms[0]"),
        ("trust: [{issuer: a, jwks: j, algorithms: [none]}]", "trust[0].algorithms[0]"),
        (
            "trust: [{issuer: a, jwks: j, algorithms: [EdDSA]}, {issuer: a, jwks: k, algorithms: [EdDSA]}]",
            "issuer stands twice",
        ),
        ("store: redis://:hunter2@h:6379", "use password_file"),
        ("store: http://h", "a store is one of memory://, sqlite://, postgresql://, redis://"),
        ("store: redis:///0", "needs a host"),
        ("store: 'redis://a,b'", "several servers are written redis+sentinel://"),
        ("store: 'redis+quorum://a,b'", "an odd number; store.url names 2"),
        ("store: 'redis+quorum://a,b,c,d'", "an odd number; store.url names 4"),
        ("store: 'redis+quorum://a'", "an odd number; store.url names 1"),
        ("store: 'redis+quorum://a,b,a:6379'", "stands twice"),
        ("store: 'redis+quorum://a,,b'", "needs a host"),
        ("store: 'redis+quorum://a,b,c/x'", "redis+quorum://[user@]host"),
        ("store: {url: 'redis+quorum://a,b,c', wait: 1}", "no replicas to wait for"),
        ("store: 'redis+sentinel://a,b,c'", "the name as the sentinels know it"),
        ("store: 'redis+sentinel://a,b,c/ott/x'", "the name as the sentinels know it"),
        ("store: 'redis+cluster://a,b,c/1'", "a cluster has no databases"),
        ("store: 'redis+cluster://a:port,b'", "ort"),
        ("store: {url: redis://a, wait: all}", "wait: all and replicas go together"),
        ("store: {url: redis://a, wait: 1, replicas: 2}", "wait: all and replicas go together"),
        ("store: {url: redis://a, wait: 0}", "store.wait"),
        ("store: {url: 'memory://', wait: 1}", "wait and replicas are for redis://"),
        ("store: {url: 'redis://h', ca: ca.pem}", "which this URL does not speak"),
        ("store: {url: 'memory://', key: k.pem}", "which this URL does not speak"),
        ("clock: {max_skew: 61s}", "at most 60s"),
        ("client_certificate: {source: xfcc, trusted_hops: 1}", "hop_identities"),
        ("client_certificate: {trusted_hops: 1, hop_identities: [a]}", "it needs source: xfcc"),
        ("client_certificate: {source: header}", "client_certificate.source"),
        ("issuer: {url: 'https://a', lifetime: 301s}", "between 1s and 300s"),
        ("reload: {every: 50ms}", "between 100ms and 1h, or 0s"),
        ("reload: {every: 2h}", "between 100ms and 1h, or 0s"),
        ("dpop: {nonce: required}", "nonce: required needs nonce_secret"),
        ("dpop: {nonce_secret: nonces}", "none is asked for"),
        ("dpop: {nonce: off, nonce_secret: nonces}", "none is asked for"),
        ("dpop: {max_age: 301s}", "between 1s and 300s"),
        ("dpop: {lead: 61s}", "at most 60s"),
        ("dpop: {scheme: ws}", "dpop.scheme"),
        ("issuer: {url: 'https://a', dpop: {scheme: https}}", "unknown key"),
        ("failure_mode_allow: true", "unknown key"),
        ("- a", "must be a mapping"),
    ],
)
def test_what_is_unsafe_or_wrong_does_not_start(config: Path, text: str, problem: str) -> None:
    shown = problems(config, text)
    assert problem in shown
    assert "hunter2" not in shown


def test_every_mistake_is_shown_at_once(config: Path) -> None:
    shown = problems(config, "stor: a\nlisten: {chek: b}\nclock: {max_skew: 5}\n")
    assert "ott.yaml:1:7: stor: unknown key; did you mean 'store'?" in shown
    assert "ott.yaml:2:16: listen.chek: unknown key; did you mean 'check'?" in shown
    assert "ott.yaml:3:19: clock.max_skew: a duration is a number with a unit" in shown


def test_variables_override_the_file(config: Path) -> None:
    environ = {
        "OTT_LISTEN__CHECK": "127.0.0.1:7",
        "OTT_STORE": "redis://h:1/0",
        "OTT_CLOCK__MAX_SKEW": "1s",
        "OTT_EXPOSE_REASONS": "true",
        "HOME": "/root",
        "OTT_ENVOY": "/bin/envoy",
    }
    settings = loaded(config, "store: memory://\nlisten: {check: 127.0.0.1:8}", environ)
    assert settings.listen.check == ["127.0.0.1:7"]
    assert settings.store.url == "redis://h:1/0"
    assert settings.clock.max_skew == 1000
    assert settings.expose_reasons


def test_an_unknown_or_misplaced_variable_is_a_mistake(config: Path) -> None:
    assert problems(config, "", {"OTT_LISTN__CHECK": "x"}) == "environment variable OTT_LISTN__CHECK: no such setting"
    assert "listen.chek: unknown key" in problems(config, "", {"OTT_LISTEN__CHEK": "x"})
    assert "store is not a mapping" in problems(config, "store: memory://", {"OTT_STORE__URL": "x"})


def test_tls_takes_the_transport_that_has_it(config: Path) -> None:
    assert loaded(config, "listen: {tls: {certificate: a, key: b}}").listen.chosen_transport == "grpcio"


def test_a_file_that_cannot_be_read_is_a_problem_not_a_traceback(config: Path) -> None:
    with pytest.raises(DocumentError, match="No such file"):
        load(config, {})
    config.write_bytes(b"\xff\xfe")
    with pytest.raises(DocumentError, match="not UTF-8"):
        load(config, {})


def test_the_schema_is_closed() -> None:
    assert schema()["additionalProperties"] is False
    assert host_and_port("[::1]:9001") == ("::1", 9001)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rotation: {publish_before: 59s}", "issuer.rotation: publish_before is between 1m and 7d"),
        ("rotation: {publish_before: 8d}", "publish_before is between 1m and 7d"),
        ("rotation: {retire_after: 359s}", "retire_after is between 6m and 1d"),
        ("rotation: {retire_after: 25h}", "retire_after is between 6m and 1d"),
        ("rotation: {every: 16m}", "every is at least publish_before and retire_after together"),
        ("rotation: {evry: 16m}", "unknown key; did you mean 'every'?"),
        ("grpc: '127.0.0.1:9005'", "issuer: grpc needs tls with client_ca"),
        ("grpc: '127.0.0.1:9005', tls: {certificate: c, key: k}", "issuer: grpc needs tls with client_ca"),
        ("rings: {default: k}", "issuer.rings: default is what the ring of issuer.keys is called"),
        ("rings: {'a/b': k}", "issuer.rings.a/b: String should match pattern"),
        ("rings: {'..': k}", "String should match pattern"),
        ("rings: {a: {directory: k, passphrase: secret}}", "issuer.rings.a.passphrase: unknown key"),
        ("rings: {a: {}}", "issuer.rings.a.directory: required"),
        ("rings: {a: 1}", "issuer.rings.a"),
    ],
)
def test_rings_and_rotations_that_would_leave_a_gap_do_not_start(config: Path, text: str, said: str) -> None:
    assert said in problems(config, f"issuer: {{url: 'https://i', {text}}}")


def test_a_rotation_is_written_with_days(config: Path) -> None:
    issuer = loaded(config, "issuer: {url: 'https://i', rotation: {every: 30d}, rings: {eu-a: keys/eu-a}}").issuer
    assert issuer is not None
    assert issuer.rotation.every == 30 * 86_400_000
    assert issuer.rings["eu-a"] == KeyDirectory(directory=config.parent / "keys/eu-a")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("{vault: {address: 'https://v', login: {token_file: t}}}", "issuer.keys.vault.key: required"),
        ("{vault: {address: 'http://v', key: k, login: {token_file: t}}}", "whoever listens in"),
        ("{aws_kms: {region: eu-west-1, active: alias/k}}", "an alias may move"),
        ("{vault: {}, aws_kms: {}}", "issuer.keys.aws_kms: unknown key"),
    ],
)
def test_what_is_wrong_with_a_ring_elsewhere_is_told_in_its_own_words(config: Path, keys: str, said: str) -> None:
    assert said in problems(config, f"issuer: {{url: 'https://i', keys: {keys}}}")
    assert said.removeprefix("issuer.keys.") in problems(config, f"issuer: {{url: 'https://i', rings: {{a: {keys}}}}}")


PASETO = """trust:
  - {issuer: a, jwks: j.json, algorithms: [EdDSA]}
  - {issuer: a, jwks: p.json, algorithms: [EdDSA], format: paseto}
"""


def test_one_issuer_may_be_trusted_for_both_formats_with_a_key_set_for_each(config: Path) -> None:
    settings = loaded(config, PASETO)
    assert [trust.jwks for trust in settings.trusted("jwt")] == [config.parent / "j.json"]
    assert [trust.jwks for trust in settings.trusted("paseto")] == [config.parent / "p.json"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (PASETO.replace("p.json", "j.json"), "a key is for one format"),
        (PASETO.replace("j.json, algorithms: [EdDSA]", "j.json, algorithms: [EdDSA], format: paseto"), "stands twice"),
        (PASETO.replace("[EdDSA], format", "[ES256], format"), "knows Ed25519 alone"),
        (PASETO.replace("[EdDSA], format", "[EdDSA, ES256], format"), "knows Ed25519 alone"),
        (PASETO.replace("format: paseto", "format: v4.local"), "format"),
    ],
)
def test_a_key_set_is_for_one_format(config: Path, text: str, problem: str) -> None:
    assert problem in problems(config, text)


def test_an_audit_may_be_the_standard_output_and_rotates_in_files_of_a_size(config: Path) -> None:
    audit = loaded(config, "audit: {path: '-'}").audit
    assert audit is not None
    assert (audit.path, audit.rotate) == ("-", None)
    audit = loaded(config, "audit: {path: a, rotate: {}}").audit
    assert audit is not None
    assert audit.rotate is not None
    assert (audit.rotate.size, audit.rotate.keep) == (100 * 1024**2, 10)
    audit = loaded(config, "audit: {path: a, rotate: {size: 2GiB, keep: 1}}").audit
    assert audit is not None
    assert audit.rotate is not None
    assert audit.rotate.size == 2 * 1024**3


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("audit: {path: '-', rotate: {}}", "rotate is for files", id="rotated-output"),
        pytest.param("audit: {path: a, rotate: {size: 1000}}", "a size is a whole number with a unit", id="no-unit"),
        pytest.param("audit: {path: a, rotate: {size: 1KiB}}", "at least 64KiB", id="tiny"),
        pytest.param("audit: {path: a, rotate: {keep: 0}}", "greater than or equal to 1", id="keep-none"),
        pytest.param(
            "store: sqlite:///s\nlisten: {check: ['127.0.0.1:1', '127.0.0.1:2']}\naudit: {path: '-'}",
            "- is for one worker", id="mixed-lines",
        ),
        pytest.param(
            "store: sqlite:///s\nlisten: {check: ['unix:///a/x.sock', 'unix:///b/x.sock']}\n"
            "audit: {path: a, rotate: {}}", "two listen.check sockets have one name", id="one-file",
        ),
    ],
)  # fmt: skip
def test_an_audit_that_would_lose_or_mix_lines_does_not_start(config: Path, text: str, problem: str) -> None:
    assert problem in problems(config, text)
