"""What can be said of the image without building it: the Dockerfile, what an engine gets to see, the reader itself."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path, PurePosixPath

import pytest

from ott_extauthz import __version__
from tests.image.container import Container, digest, installers
from tests.image.context import is_let_in, let_in, patterns_from
from tests.image.dockerfile import DockerfileError, Stage, dockerfile_from, expanded
from tests.image.layers import Layers, StepError
from tests.image.sbom import ROOT

TEXT = (ROOT / "Dockerfile").read_text()
FILE = dockerfile_from(TEXT)
LAST = FILE.stages[-1]
IGNORE = patterns_from((ROOT / ".dockerignore").read_text())
HADOLINT = Path(sys.executable).with_name("hadolint")


def test_hadolint_finds_nothing() -> None:
    words = [str(HADOLINT), "--failure-threshold", "ignore", str(ROOT / "Dockerfile")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_is_asked_with_all_its_rules() -> None:
    assert "hadolint ignore" not in TEXT
    assert not list(ROOT.glob(".hadolint*"))


def test_the_image_runs_as_a_number_that_is_not_root() -> None:
    """Kubernetes' runAsNonRoot cannot judge a name."""
    assert LAST.only("USER").text == "65532:65532"
    assert LAST.instructions.index(LAST.only("USER")) > max(LAST.instructions.index(one) for one in LAST.all("RUN"))


def test_signals_reach_the_program_and_no_shell() -> None:
    assert LAST.only("ENTRYPOINT").exec_form == ["ott-extauthz"]
    assert LAST.only("CMD").exec_form == ["serve"]
    assert LAST.only("STOPSIGNAL").text == "SIGTERM"


def test_the_health_check_asks_the_probe() -> None:
    words = LAST.only("HEALTHCHECK").exec_form
    assert words[:3] == ["ott-extauthz", "probe", "http://127.0.0.1:9002/readyz"]
    timeout = re.fullmatch(r"(\d+)s", LAST.only("HEALTHCHECK").flags["timeout"])
    assert timeout is not None
    assert int(timeout[1]) > int(words[words.index("--timeout") + 1].removesuffix("s"))


def test_the_labels_are_those_of_open_containers() -> None:
    known = {**FILE.arguments, "VERSION": "1", "REVISION": "abc", "CREATED": "now"}
    labels = LAST.only("LABEL").pairs(known)
    prefix = "org.opencontainers.image."
    assert all(name.startswith(prefix) for name in labels)
    told = {name.removeprefix(prefix): value for name, value in labels.items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert told["licenses"] == project["license"]
    assert told["description"] == project["description"]
    assert (told["version"], told["revision"], told["created"]) == ("1", "abc", "now")
    assert told["base.name"] == FILE.stages[0].base == LAST.base


def test_the_version_is_the_projects() -> None:
    assert f"ARG VERSION={__version__}\n" in TEXT


def test_what_is_installed_is_pinned_by_hash() -> None:
    installs = [word for word in re.findall(r"pip [^&]*install [^&]*", TEXT) if "wheel/*.whl" not in word]
    assert len(installs) == 2
    assert all("--require-hashes" in one for one in installs)
    (ours,) = [one for one in re.findall(r"pip [^&]*install [^&]*", TEXT) if "wheel/*.whl" in one]
    assert "--no-deps --no-index" in ours


def test_what_the_image_is_built_with_is_what_the_project_asks_for() -> None:
    (wanted,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert f"\n{wanted} \\" in f"\n{(ROOT / 'requirements/build.lock').read_text()}"


def test_the_last_stage_installs_nothing() -> None:
    assert not any("install" in one.text for one in LAST.all("RUN"))
    assert "--without-pip /opt/ott" in TEXT


def test_no_argument_or_variable_invites_a_secret() -> None:
    """Both stay in the image's history."""
    said = [one.text for stage in FILE.stages for word in ("ARG", "ENV") for one in stage.all(word)]
    assert not [one for one in said if re.search(r"(?i)token|passw|secret|key", one)]


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        ".git/config",
        "keys/private.pem",
        "ott.yaml",
        "ott_extauthz/key.pem",
        "ott_extauthz/demo/keys/private.jwk",
        "ott_extauthz/.env",
        "ott_extauthz/wire/ott.yaml",
        "requirements/../.env",
        "requirements/pip.conf",
        "tests/conftest.py",
        "dist/ott.whl",
        "helm/values.yaml",
        "README.md.bak",
        ".venv/lib/python3.11/site-packages/x.py",
    ],
)
def test_nothing_gets_in_that_is_not_named(path: str) -> None:
    assert not is_let_in(PurePosixPath(path), IGNORE)


def test_the_whole_package_gets_in() -> None:
    listed = subprocess.run(["git", "ls-files", "ott_extauthz"], cwd=ROOT, capture_output=True, text=True, check=True)
    there = {path.as_posix() for path in let_in(ROOT)}
    assert {line for line in listed.stdout.splitlines() if (ROOT / line).exists()} <= there


def test_the_last_pattern_decides() -> None:
    patterns = ["*", "!a", "a/b", "!a/**/*.py"]
    told = {
        path: is_let_in(PurePosixPath(path), patterns) for path in ("a/x", "a/b/x", "a/b/x.py", "a/b/c/x.py", "x.py")
    }
    assert told == {"a/x": True, "a/b/x": False, "a/b/x.py": True, "a/b/c/x.py": True, "x.py": False}


@pytest.mark.parametrize(
    "text",
    ["FROM a\nADD b c\n", "FROM a\nRUN b \\\n", "RUN b\n", "FROM ${NOBODY}\n", "from a\n"],
    ids=["unknown", "unended", "no stage", "unset", "lower case"],
)
def test_what_the_reader_does_not_know_is_an_error(text: str) -> None:
    with pytest.raises(DockerfileError):
        dockerfile_from(text)


def test_a_shell_form_is_no_list_of_words() -> None:
    stage = dockerfile_from("FROM a\nENTRYPOINT ott-extauthz serve\nCMD {}\n").stages[0]
    for word in ("ENTRYPOINT", "CMD"):
        with pytest.raises((DockerfileError, json.JSONDecodeError)):
            assert stage.only(word).exec_form


def _layers(tmp_path: Path, text: str, **arguments: str) -> tuple[Layers, Stage]:
    context, folder = tmp_path / "context", tmp_path / "build"
    context.mkdir()
    folder.mkdir()
    (context / ".dockerignore").write_text("*\n!in.txt\n")
    (context / "in.txt").write_text("in")
    (context / "secret.txt").write_text("secret")
    layers = Layers(
        context=context, folder=folder, python=Path(sys.executable), say=lambda _: None, arguments=arguments
    )
    return layers, layers.build(dockerfile_from(text))


def test_steps_are_executed_below_the_folder_and_stages_kept_apart(tmp_path: Path) -> None:
    text = """ARG BASE=b
FROM ${BASE} AS build
ARG WHAT=default
ENV PLACE=/opt/ott
WORKDIR /build
COPY in.txt ./
RUN mkdir -p /opt/ott/bin && echo "${WHAT} $PLACE" > /opt/ott/out && cp in.txt /opt/ott/ && python -c pass > /dev/null
FROM ${BASE}
COPY --from=build /opt/ott /opt/ott
WORKDIR /etc/ott
"""
    layers, stage = _layers(tmp_path, text, WHAT="told")
    assert stage.base == "b"
    assert (layers.root / "opt/ott/out").read_text() == f"told {layers.root}/opt/ott\n"
    assert (layers.root / "opt/ott/in.txt").read_text() == "in"
    assert not (layers.root / "build").exists()
    assert layers.working == "/etc/ott"


@pytest.mark.parametrize(
    "step",
    [
        "RUN rm -rf /usr/lib",
        "RUN echo x > /etc/passwd",
        "RUN cat </root/.ssh/id",
        "RUN false",
        "COPY secret.txt /opt/ott/",
    ],
)
def test_a_step_that_would_touch_this_machine_or_fails_ends_the_dry_run(tmp_path: Path, step: str) -> None:
    with pytest.raises(StepError):
        _layers(tmp_path, f"FROM b\n{step}\n")


def test_a_variable_that_nobody_set_is_a_mistake() -> None:
    assert expanded("${A}-${B}", {"A": "1", "B": "2"}) == "1-2"
    with pytest.raises(DockerfileError):
        expanded("${A}", {})


def test_a_changed_file_changes_the_digest(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = digest(tmp_path)
    (tmp_path / "a").write_text("2")
    assert digest(tmp_path) != before
    (tmp_path / "a").write_text("1")
    assert digest(tmp_path) == before
    (tmp_path / "b").symlink_to("a")
    assert digest(tmp_path) != before


@pytest.mark.parametrize("left", ["bin/pip", "lib/python3.11/site-packages/pip-26.dist-info", "bin/pip3.11"])
def test_what_installs_is_seen_wherever_it_was_left(tmp_path: Path, left: str) -> None:
    for name in ("bin/ott-extauthz", "lib/python3.11/site-packages/pipeline", left):
        (tmp_path / name).mkdir(parents=True)
    assert installers(tmp_path) == {"pip"}


@pytest.mark.skipif(os.getuid() != 0, reason="root alone has powers to lose")
def test_what_is_run_is_held_by_the_bits_of_a_file(tmp_path: Path) -> None:
    """Root would write where nobody may, and the dry run would show nothing."""
    layers, _ = _layers(tmp_path, "FROM b\nWORKDIR /etc/ott\n")
    container = Container(layers, LAST, tmp_path / "scratch")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    assert container.run("sh", "-c", f"echo x > {tmp_path}/scratch/x").returncode == 0
    assert container.run("sh", "-c", f"echo x > {closed}/x").returncode != 0
