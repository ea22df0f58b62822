"""The files of `tracing` are judged at the start, and none of their secrets is quoted."""

from pathlib import Path

import pytest

from ott_extauthz.bootstrap.tracing_files import TracingFiles, tracing_files
from ott_extauthz.demo.pki import Authority
from ott_extauthz.documents.problems import Problem
from ott_extauthz.sections.tracing import Tracing

SECRET = "hunter2-hunter2-hunter2"


def written(path: Path, content: bytes) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(content)
    return path


def read(**settings: object) -> tuple[TracingFiles, list[Problem]]:
    problems: list[Problem] = []
    made = Tracing.model_validate({"endpoint": "https://127.0.0.1:4317", **settings})
    return tracing_files(made, "ott.yaml", problems), problems


def test_headers_are_read_line_by_line(tmp_path: Path) -> None:
    content = f"# the collector's key\n\nauthorization: Bearer {SECRET}\r\nx-tenant :  a b \n".encode()
    files, problems = read(headers_file=written(tmp_path / "headers", content))
    assert problems == []
    assert files.headers == (("authorization", f"Bearer {SECRET}"), ("x-tenant", "a b"))
    assert SECRET not in repr(files)


@pytest.mark.parametrize(
    "line",
    [f"Authorization: {SECRET}", f"authorization {SECRET}", f"key-bin: {SECRET}", f"grpc-timeout: {SECRET}",
     f"te: {SECRET}", f"x: {SECRET}\x07", f"x: {SECRET}\u00e9", f"x: {SECRET}\rx", "x:", f": {SECRET}"],
)  # fmt: skip
def test_a_line_that_is_no_header_is_refused_by_its_number_alone(tmp_path: Path, line: str) -> None:
    path = written(tmp_path / "headers", f"a: b\n{line}\n".encode())
    files, problems = read(headers_file=path)
    assert files == TracingFiles()
    assert [problem.message.startswith(f"{path}:2: a line is") for problem in problems] == [True]
    assert SECRET not in str(problems)


def test_a_file_that_everybody_may_read_holds_no_secret(tmp_path: Path) -> None:
    path = written(tmp_path / "headers", b"a: b")
    path.chmod(0o644)
    assert [str(problem.message) for problem in read(headers_file=path)[1]] == [
        f"{path}: a secret readable by all; chmod o-rwx"
    ]


@pytest.mark.parametrize(
    ("content", "why"), [(b"", "names no header"), (b"#", "names no header"), (b"a: b\n" * 9999, "larger than")]
)
def test_a_file_without_headers_or_without_end_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    [problem] = read(headers_file=written(tmp_path / "headers", content))[1]
    assert why in problem.message


def test_files_that_are_not_there_are_all_named(tmp_path: Path) -> None:
    missing = {name: tmp_path / name for name in ("ca", "certificate", "key", "headers_file")}
    problems = read(**missing)[1]
    assert [problem.field for problem in problems] == ["tracing.ca", "tracing.certificate", "tracing.headers_file"]
    assert all("cannot be read" in problem.message for problem in problems)


def test_a_key_of_another_certificate_is_found_at_the_start(tmp_path: Path) -> None:
    authority = Authority("test")
    certificate, key = authority.issue("ours").write(tmp_path, "ours")
    _, other = authority.issue("other").write(tmp_path, "other")
    assert read(certificate=certificate, key=key)[1] == []
    [problem] = read(certificate=certificate, key=other)[1]
    assert (problem.field, "is no unencrypted PEM key" in problem.message) == ("tracing.key", True)
    assert "BEGIN" not in str(problem)


def test_what_is_read_is_not_shown(tmp_path: Path) -> None:
    certificate, key = Authority("test").issue("ours").write(tmp_path, "ours")
    files, _ = read(certificate=certificate, key=key)
    assert files.key == key.read_bytes()
    assert "PRIVATE" not in repr(files)
