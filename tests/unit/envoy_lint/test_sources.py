"""Files, folders, standard input, an admin port: read whole, bounded, or told."""

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.envoy_lint import sources
from ott_extauthz.envoy_lint.sources import read_sources

BOOTSTRAP = "static_resources: {listeners: []}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "envoy.yaml").write_text(BOOTSTRAP)
    (tmp_path / "deep.json").write_text(json.dumps({"apiVersion": "v1", "kind": "ConfigMap"}))
    (tmp_path / "notes.txt").write_text("{")
    return tmp_path


def test_a_folder_is_read_whole_and_what_is_something_else_is_named(folder: Path) -> None:
    (folder / "values.yaml").write_text("replicas: 2\n")
    (folder / "both.yaml").write_text(f"{BOOTSTRAP}---\nreplicas: 2\n")
    read = read_sources([str(folder)])
    names = [Path(document.name).relative_to(folder).as_posix() for document in read.documents]
    assert names == ["a/envoy.yaml", "both.yaml", "deep.json"]
    assert [Path(name).name for name in read.skipped] == ["both.yaml", "values.yaml"]


@pytest.mark.parametrize("text", ["a: [{b: ${PORT}, c: d}]\n", "{{- if .Values.a }}\na: 1\n"], ids=["shell", "helm"])
def test_a_folders_template_is_named_and_left_and_alone_is_told(folder: Path, text: str) -> None:
    (folder / "template.yaml").write_text(text)
    read = read_sources([str(folder)])
    assert [Path(name).name for name in read.skipped] == ["template.yaml"]
    with pytest.raises(DocumentError, match=r"template\.yaml:1"):
        read_sources([str(folder / "template.yaml")])


def test_lists_of_other_tools_in_a_folder_are_named_and_left(folder: Path) -> None:
    """A playbook, a kustomize patch: the first one must not keep everything else from being judged."""
    (folder / "playbook.yaml").write_text("- hosts: all\n")
    (folder / "patch.json").write_text('[{"op": "remove", "path": "/spec"}]')
    (folder / "words.yaml").write_text(f"just words\n---\n{BOOTSTRAP}")
    read = read_sources([str(folder)])
    assert [Path(name).name for name in read.skipped] == ["patch.json", "playbook.yaml", "words.yaml"]
    assert len(read.documents) == 3


def test_a_folders_torn_file_is_never_left_for_a_template(folder: Path) -> None:
    (folder / "torn.yaml").write_text("a: [")
    with pytest.raises(DocumentError, match="not YAML"):
        read_sources([str(folder)])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("replicas: 2\n", "x.yaml:1:1: no bootstrap, config dump or resources of Envoy"),
        ("", "x.yaml: no bootstrap"),
        ("- a\n- b\n", "x.yaml:1:1: no bootstrap"),
        ("[1, 2]", "x.yaml: no bootstrap"),
        (f"{BOOTSTRAP}---\nreplicas: 2\n", "x.yaml:3:1: no bootstrap"),
        ("a: [", "x.yaml:2:1: not YAML"),
        ("\xff", "cannot be read: not UTF-8"),
    ],
    ids=["another thing", "empty", "a list", "a list in JSON", "another thing too", "torn", "bytes"],
)
def test_a_file_that_is_named_has_to_be_a_configuration(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "x.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(DocumentError) as caught:
        read_sources([str(tmp_path / "x.yaml")])
    assert told in str(caught.value)


def test_every_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DocumentError) as caught:
        read_sources([str(tmp_path / "absent.yaml"), str(tmp_path / "empty"), "with\0nul"])
    assert "absent.yaml: cannot be read: No such file" in str(caught.value)
    assert "empty: no configuration of Envoy or Kubernetes in this folder" in str(caught.value)
    assert "with\\x00nul: cannot be read" in str(caught.value)


def test_an_address_is_told_how_a_running_envoy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DocumentError, match=r"No such file or directory; a running Envoy is http://127\.0\.0\.1:9901$"):
        read_sources(["127.0.0.1:9901"])


class _Stdin:
    def __init__(self, raw: bytes) -> None:
        self.buffer = io.BytesIO(raw)


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", _Stdin(BOOTSTRAP.encode()))
    (document,) = read_sources(["-"]).documents
    assert document.name == "stdin"


@pytest.mark.parametrize("name", ["-", "x.yaml"])
def test_what_has_no_end_is_not_read_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(sources, "MOST_BYTES", 100)
    monkeypatch.setattr("ott_extauthz.reload.bounded.MOST_BYTES", 100)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", _Stdin(b"#" * 101))
    Path("x.yaml").write_bytes(b"#" * 101)
    with pytest.raises(DocumentError, match=r"more than 100 bytes|File too large"):
        read_sources([name])


class _Admin(BaseHTTPRequestHandler):
    answers: dict[str, tuple[int, bytes]]

    def do_GET(self) -> None:
        status, body = self.answers.get(self.path, (404, b"nothing"))
        self.send_response(status)
        if status == 302:
            self.send_header("location", "/config_dump")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def _admin(answers: dict[str, tuple[int, bytes]]) -> Iterator[str]:
    handler = type("Admin", (_Admin,), {"answers": answers})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


DUMP = (200, b'{"configs": []}')
INFO = (200, b'{"version": "0123/1.38.3/Clean/RELEASE/BoringSSL"}')


@pytest.mark.parametrize("asked", ["", "/", "/config_dump?include_eds", "/config_dump"])
def test_an_admin_port_is_asked_for_its_dump_and_its_version(asked: str) -> None:
    with _admin({"/config_dump?include_eds": DUMP, "/config_dump": DUMP, "/server_info": INFO}) as url:
        read = read_sources([url + asked])
    assert [document.name for document in read.documents] == [url + asked]
    assert read.version == "0123/1.38.3/Clean/RELEASE/BoringSSL"


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"/config_dump?include_eds": DUMP},
        {"/config_dump?include_eds": (302, b""), "/config_dump": DUMP, "/server_info": INFO},
        {"/config_dump?include_eds": (200, b"<html>"), "/server_info": INFO},
        {"/config_dump?include_eds": (200, b"\xff"), "/server_info": INFO},
        {"/config_dump?include_eds": DUMP, "/server_info": (200, b"[]")},
    ],
    ids=["none", "no version", "sent elsewhere", "a page", "bytes", "a list"],
)
def test_what_is_no_admin_port_is_told(answers: dict[str, tuple[int, bytes]]) -> None:
    with _admin(answers) as url, pytest.raises(DocumentError, match=r"http://127\.0\.0\.1"):
        read_sources([url])


def test_a_port_that_nobody_answers_is_told() -> None:
    with pytest.raises(DocumentError, match="no answer of an Envoy"):
        read_sources(["http://127.0.0.1:1"])


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(DocumentError) as caught:
        read_sources(["http://admin:hunter2@127.0.0.1:9901"])
    assert "hunter2" not in str(caught.value)
