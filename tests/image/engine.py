"""Which engine builds the image here?  The first of docker, podman and buildah that answers.

One that is installed may still not work: docker wants its daemon, the others a user who may make namespaces. They are
asked before anything is built, and what they say is told together, with the way that needs none of them.
"""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Final

QUESTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "docker": ("docker", "version", "--format", "{{.Server.Version}}"),
    "podman": ("podman", "info"),
    "buildah": ("buildah", "info"),
}
BUILD: Final[Mapping[str, tuple[str, ...]]] = {
    "docker": ("docker", "build"),
    "podman": ("podman", "build", "--format", "docker"),  # the format that has a health check
    "buildah": ("buildah", "build", "--format", "docker"),
}
_PATIENCE_S: Final = 30.0

Ask = Callable[[Sequence[str]], str]
"""Asks an engine; returns why it does not work, or nothing where it does."""


class NoEngineError(Exception):
    """No engine answers; the message says why each does not, and what can be done without one."""


def build_command(ask: Ask) -> tuple[str, ...]:
    """Return the words that build an image, of the first engine that works.

    Raises:
        NoEngineError: none does.
    """
    refusals = {}
    for engine, question in QUESTIONS.items():
        refusals[engine] = ask(question)
        if not refusals[engine]:
            return BUILD[engine]
    told = "".join(f"  {engine}: {why}\n" for engine, why in refusals.items())
    raise NoEngineError(
        f"make image needs a container engine, and none works here:\n{told}"
        "make image-dry-run needs none: it executes the Dockerfile's own steps and tries what comes of them."
    )


def ask_here(question: Sequence[str]) -> str:
    """Ask an engine of this machine."""
    try:
        done = subprocess.run(question, capture_output=True, text=True, check=False, timeout=_PATIENCE_S)
    except FileNotFoundError:
        return "not installed"
    except OSError as error:
        return f"does not start: {error.strerror}"
    except subprocess.TimeoutExpired:
        return f"does not answer within {_PATIENCE_S:g} s"
    if done.returncode == 0:
        return ""
    said = done.stderr.strip().splitlines()
    return said[-1] if said else f"ends with {done.returncode}"
