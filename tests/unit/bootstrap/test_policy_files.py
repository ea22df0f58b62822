"""The policy's files: every one read, none twice, and never two revisions of a ConfigMap together."""

import gc
from pathlib import Path

import pytest

from ott_extauthz.bootstrap.policy_files import read_policy
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.policy.document import Policy

ROUTE = "routes:\n  - {{name: {name}, match: {{path: /{name}}}, credential: public}}\n"


def write(path: Path, name: str, *, revision: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((f"revision: {revision}\n" if revision else "") + ROUTE.format(name=name))
    return path


def names(policy: Policy) -> list[str]:
    return [route.name for route in policy.table.routes]


def problems(*paths: Path) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        read_policy(paths)
    return [str(problem) for problem in caught.value.problems]


def test_files_come_in_the_order_written_and_those_of_a_folder_by_name(tmp_path: Path) -> None:
    last = write(tmp_path / "z.yaml", "z", revision="r1")
    for name in ("c", "a", "b"):
        write(tmp_path / "folder" / f"{name}.yaml", name)
    policy = read_policy([last, tmp_path / "folder"])
    assert names(policy) == ["z", "a", "b", "c"]
    assert policy.revision == "r1"


def test_dotfiles_other_files_and_folders_below_are_not_read(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "a")
    for other in (".b.yaml", "notes.txt", "deep/c.yaml", ".hidden/d.yaml", "x.yaml~"):
        write(tmp_path / other, "other")
    assert names(read_policy([tmp_path])) == ["a"]


def config_map(folder: Path, version: str) -> None:
    """What a kubelet makes of a ConfigMap."""
    write(folder / f"..{version}" / "a.yaml", f"{version}-a")
    write(folder / f"..{version}" / "b.yaml", f"{version}-b")
    new = folder / "..data_tmp"
    new.symlink_to(f"..{version}")
    new.rename(folder / "..data")


def test_a_config_map_is_read_once_and_of_one_version(tmp_path: Path) -> None:
    config_map(tmp_path, "one")
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    assert names(read_policy([tmp_path])) == ["one-a", "one-b"]
    config_map(tmp_path, "two")
    assert names(read_policy([tmp_path])) == ["two-a", "two-b"]


def test_a_file_with_two_names_is_read_once(tmp_path: Path) -> None:
    real = write(tmp_path / "a.yaml", "a")
    (tmp_path / "b.yaml").symlink_to(real)
    assert names(read_policy([tmp_path, real, tmp_path])) == ["a"]


def test_problems_name_the_file_as_it_was_written(tmp_path: Path) -> None:
    config_map(tmp_path, "one")
    (tmp_path / "..one" / "b.yaml").write_text("routes:\n  - nmae: x\n")
    found = problems(tmp_path)
    assert any(
        line.startswith(f"{tmp_path}/b.yaml:2:11: routes[0].nmae: unknown key; did you mean 'name'") for line in found
    )


def test_every_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe")
    (tmp_path / "late.yml").write_text("")
    (tmp_path / "empty").mkdir()
    write(tmp_path / "bad.yaml", "b b")
    paths = [tmp_path / name for name in ("loop.yaml", "bytes.yaml", "ghost.yaml", "empty", "bad.yaml")]
    found = "\n".join(problems(*paths))
    for name in ("loop.yaml", "bytes.yaml", "ghost.yaml", "empty", "bad.yaml:2"):
        assert f"{tmp_path}/{name}" in found, name
    assert "rename it" in "\n".join(problems(tmp_path))


def test_without_a_revision_the_content_is_the_revision(tmp_path: Path) -> None:
    one = write(tmp_path / "a.yaml", "a")
    first = read_policy([one]).revision
    assert first.startswith("sha256:")
    assert len(first) == 23
    write(one, "b")
    second = read_policy([one]).revision
    assert second != first
    write(one, "a")
    assert read_policy([one]).revision == first


def test_revisions_of_several_files_agree(tmp_path: Path) -> None:
    one, two = write(tmp_path / "a.yaml", "a", revision="r1"), write(tmp_path / "b.yaml", "b", revision="r1")
    assert read_policy([one, two]).revision == "r1"
    write(two, "b", revision="r2")
    assert problems(one, two) == [
        f"{two}:1:11: revision: {one} has another revision; write it once, or the same everywhere"
    ]


def test_a_route_of_another_file_is_named_with_its_place(tmp_path: Path) -> None:
    one, two = write(tmp_path / "a.yaml", "a"), write(tmp_path / "b.yaml", "a")
    assert f"{two}:2:12: routes[0].name: {one}:2: routes[0] (a) has this name too" in problems(one, two)


def test_the_garbage_collector_is_back_afterwards(tmp_path: Path) -> None:
    with pytest.raises(DocumentError):
        read_policy([write(tmp_path / "a.yaml", "a a")])
    assert gc.isenabled()


@pytest.mark.parametrize("name", ["a\0b", "/dev/zero"])
def test_what_has_no_end_or_no_name_is_a_problem_and_no_crash(name: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_policy([Path(name)])
    assert "cannot be read" in str(caught.value)
