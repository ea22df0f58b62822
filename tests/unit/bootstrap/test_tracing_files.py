"""The files of `tracing` are judged at the start, and none of their secrets is quoted."""

from pathlib import Path

import pytest

from ott_extauthz.bootstrap.tracing_files import TracingFiles, tracing_files, tracing_source
from ott_extauthz.demo.pki import Authority
from ott_extauthz.documents.problems import Problem
from ott_extauthz.reload.source import UNENDED_LOOKS, Result
from ott_extauthz.sections.tracing import Tracing
from tests.fakes.clock import FakeClock
from tests.unit.bootstrap.test_reloading import Results

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


class Followed:
    """Files that are followed, and what was taken of them."""

    def __init__(self, **settings: object) -> None:
        made = Tracing.model_validate({"endpoint": "https://127.0.0.1:4317", **settings})
        self.taken: list[TracingFiles] = []
        self.results = Results()
        source = tracing_source(
            made, tracing_files(made, "ott.yaml", []), take=self.taken.append, clock=FakeClock(), listener=self.results
        )
        assert source is not None
        self.source = source

    def polls(self, count: int = 2) -> list[Result]:
        for _ in range(count):
            self.source.poll()
        return self.results.told


def test_headers_that_changed_are_taken_once_they_have_settled(tmp_path: Path) -> None:
    path = written(tmp_path / "headers", b"x-key: one\n")
    followed = Followed(headers_file=path)
    assert followed.polls() == []
    path.write_bytes(b"x-key: two\n")
    assert followed.polls(1) == []
    assert followed.polls(1) == [Result.LOADED]
    assert [files.headers for files in followed.taken] == [(("x-key", "two"),)]


def test_half_a_header_is_not_sent_while_its_file_is_written(tmp_path: Path) -> None:
    path = written(tmp_path / "headers", b"x-key: one\n")
    followed = Followed(headers_file=path)
    path.write_bytes(b"x-key: tw")
    assert followed.polls(UNENDED_LOOKS) == []
    path.write_bytes(b"x-key: two\n")
    assert followed.polls() == [Result.LOADED]
    assert [files.headers for files in followed.taken] == [(("x-key", "two"),)]


def test_a_broken_file_leaves_all_that_is_in_use_and_is_told_without_a_secret(tmp_path: Path) -> None:
    certificate, key = Authority("test").issue("ours").write(tmp_path, "ours")
    headers = written(tmp_path / "headers", b"x-key: one\n")
    followed = Followed(certificate=certificate, key=key, headers_file=headers)
    in_force = followed.source.current()
    _, other = Authority("test").issue("other").write(tmp_path, "other")
    for path, broken in (
        (headers, f"X {SECRET}\n".encode()), (key, other.read_bytes()), (certificate, b"nonsense\n"), (headers, None),
    ):  # fmt: skip
        good, mode = path.read_bytes(), path.stat().st_mode
        path.unlink()
        if broken is not None:
            written(path, broken)
            path.chmod(mode)
        assert followed.polls()[-1] is Result.REFUSED, path
        failure = followed.source.in_force.failure
        assert failure is not None
        assert str(path.name) in str(failure.problems[0])
        assert SECRET not in str(failure.problems)
        assert "BEGIN" not in str(failure.problems)
        assert (followed.taken, followed.source.current()) == ([], in_force)
        written(path, good)
        assert followed.polls()[-1] is Result.UNCHANGED
    assert followed.source.kind.is_secret, "a digest of a short secret would let it be guessed"


def test_a_secret_that_everybody_may_write_or_read_is_not_taken(tmp_path: Path) -> None:
    path = written(tmp_path / "headers", b"x-key: one\n")
    followed = Followed(headers_file=path)
    path.write_bytes(b"x-key: two\n")
    for mode in (0o606, 0o604):
        path.chmod(mode)
        assert followed.polls()[-1] is Result.REFUSED
    path.chmod(0o600)
    assert followed.polls()[-1] is Result.LOADED


def test_a_change_while_we_start_is_still_a_change(tmp_path: Path) -> None:
    path = written(tmp_path / "headers", b"x-key: one\n")
    made = Tracing.model_validate({"endpoint": "https://127.0.0.1:4317", "headers_file": path})
    files = tracing_files(made, "ott.yaml", [])
    path.write_bytes(b"x-key: two\n")
    taken: list[TracingFiles] = []
    source = tracing_source(made, files, take=taken.append, clock=FakeClock(), listener=Results())
    assert source is not None
    source.poll()
    source.poll()
    assert [each.headers for each in taken] == [(("x-key", "two"),)]


def test_without_files_there_is_nothing_to_follow() -> None:
    made = Tracing.model_validate({"endpoint": "https://127.0.0.1:4317"})
    assert tracing_source(made, TracingFiles(), take=print, clock=FakeClock(), listener=Results()) is None
