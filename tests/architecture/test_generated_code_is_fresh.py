"""What is checked in under _proto is what `make proto` makes of proto/."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "ott_extauthz" / "_proto"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*_pb2*.py*") if path.is_file()}


def test_generated_code_is_fresh(tmp_path: Path) -> None:
    protos = sorted(map(str, (ROOT / "proto").rglob("*.proto")))
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={ROOT / 'proto'}"]
    subprocess.run(
        [*command, f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", *protos], cwd=ROOT, timeout=60, check=True
    )
    made = files(tmp_path)
    kept = {name: content for name, content in files(GENERATED).items() if "__pycache__" not in name}
    assert made
    assert kept == made, "run make proto"
