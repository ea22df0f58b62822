"""SIGHUP and changed files with several workers: each follows, and the parent shows what each has in force."""

import os
import signal
from pathlib import Path

from tests.cli.conftest import POLICY, Folder, eventually, fetch
from tests.cli.test_serve import children, is_alive, serving


async def test_all_workers_follow_a_changed_policy_and_keep_theirs_when_it_is_bad(
    folder: Folder, free_port: int, tmp_path: Path
) -> None:
    folder.run("keys", "init")
    addresses = f"['unix://{tmp_path}/a.sock', 'unix://{tmp_path}/b.sock']"
    listen = f"listen: {{check: {addresses}, admin: '127.0.0.1:{free_port}'}}\nstore: redis://127.0.0.1:1\n"
    folder.configure((tmp_path / "ott.yaml").read_text() + listen + "reload: {every: 0s}\n")
    url = f"http://127.0.0.1:{free_port}"
    with serving(folder) as process:
        await eventually(lambda: fetch(f"{url}/readyz")[0] == 200)
        workers = children(process.pid)
        (tmp_path / "policy.yaml").write_text(POLICY.replace("match", "mtch"))
        process.send_signal(signal.SIGHUP)
        await eventually(lambda: fetch(f"{url}/readyz?verbose")[1].count("a change was refused") == 2)
        told = fetch(f"{url}/readyz?verbose")[1]
        assert f"worker unix://{tmp_path}/a.sock: policy: revision r1, 2 routes" in told
        assert "policy.yaml:4:" in told
        assert "routes[0].mtch: unknown key; did you mean 'match'?" in told
        (tmp_path / "policy.yaml").write_text(POLICY.replace("r1", "r2"))
        for _ in range(100):
            process.send_signal(signal.SIGHUP)
        info = 'ott_policy_info{policy="enforced",revision="r2"} 2.0'
        await eventually(lambda: info in fetch(f"{url}/metrics")[1])
        assert 'revision="r1"' not in fetch(f"{url}/metrics")[1]
        assert "refused" not in fetch(f"{url}/readyz?verbose")[1]
        os.kill(workers[0], signal.SIGKILL)  # a worker that starts anew while signals come in
        await eventually(lambda: not is_alive(workers[0]))
        for _ in range(100):
            process.send_signal(signal.SIGHUP)
        await eventually(lambda: fetch(f"{url}/readyz")[0] == 200 and info in fetch(f"{url}/metrics")[1])
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGHUP)
        assert process.wait(60) == 0


def test_config_check_warns_of_every_route_in_shadow(folder: Folder) -> None:
    folder.run("keys", "init")
    shadow = POLICY.replace("    audience: wallet.api\n", "    audience: wallet.api\n    mode: shadow\n")
    (folder.path / "policy.yaml").write_text(shadow)
    (folder.path / "next.yaml").write_text(shadow.replace("r1", "r2"))
    folder.configure((folder.path / "ott.yaml").read_text() + "shadow_policy: next.yaml\n")
    shown = folder.run("config", "check")
    assert shown.returncode == 0
    for revision in ("r1", "r2"):
        assert f"warning: revision {revision}: route report is in shadow and enforces nothing" in shown.stderr
    (folder.path / "next.yaml").write_text("revision: r2\nroutes: []\n")
    assert folder.run("config", "check").returncode == 1
