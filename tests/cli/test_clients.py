"""clients secret: a secret shown once, its hash kept, and none cut off by accident."""

from pathlib import Path

from typer.testing import CliRunner, Result

from ott_extauthz.cli import app
from ott_extauthz.issuer.client_secret import hashes_from


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["clients", "secret", *map(str, words)])


def test_a_secret_is_shown_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    file = tmp_path / "app.secret"
    made = run(file)
    secret = made.stdout.strip()
    assert made.exit_code == 0
    assert hashes_from(file.read_text()).match(secret)
    assert secret not in file.read_text() + made.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_secret_that_is_there_is_kept_or_replaced_on_demand_alone(tmp_path: Path) -> None:
    file = tmp_path / "app.secret"
    secret = run(file).stdout.strip()
    again = run(file)
    assert (again.exit_code, again.stdout) == (1, "")
    assert "--keep-old or --replace" in again.stderr
    assert hashes_from(file.read_text()).match(secret)

    second, third = (run("--keep-old", file).stdout.strip() for _ in range(2))
    assert [hashes_from(file.read_text()).match(each) for each in (secret, second, third)] == [False, True, True]
    last = run("--replace", file).stdout.strip()
    assert [hashes_from(file.read_text()).match(each) for each in (second, third, last)] == [False, False, True]


def test_what_goes_wrong_is_told_and_nothing_is_quoted(tmp_path: Path) -> None:
    file = tmp_path / "app.secret"
    file.write_text("hunter2\n")
    kept = run("--keep-old", file)
    assert kept.exit_code == 1
    assert "hunter2" not in kept.output
    assert file.read_text() == "hunter2\n"
    assert run(tmp_path / "missing" / "app.secret").exit_code == 1
    assert run("--keep-old", "--replace", file).exit_code == 2
