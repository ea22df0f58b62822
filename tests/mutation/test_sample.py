"""The sample comes back with its seed and leaves no module out; no argument outlives the line that it is about."""

from pathlib import Path

from tests.mutation.equivalent import arguments
from tests.mutation.sample import GUARDS, LEAST, queued, sample_of

ROOT = Path(__file__).parents[2]
GUARD = "ott_extauthz.policy.table"
MADE = {
    GUARD: [f"{GUARD}.x__mutmut_{number}" for number in range(100)],
    "a.plain": [f"a.plain.x__mutmut_{number}" for number in range(100)],
    "a.tiny": ["a.tiny.x__mutmut_1"],
}


def file_of(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"


def test_every_module_is_tried_and_guards_more() -> None:
    sample = sample_of(MADE, 50, 1)
    counts = {module: sum(name in names for name in sample) for module, names in MADE.items()}
    assert counts == {GUARD: 40, "a.plain": 10, "a.tiny": 1}
    assert all(count >= LEAST for count in (counts[GUARD], counts["a.plain"]))


def test_a_seed_brings_its_sample_back_and_another_brings_another() -> None:
    assert sample_of(MADE, 50, 1) == sample_of(dict(reversed(MADE.items())), 50, 1)
    assert sample_of(MADE, 50, 1) != sample_of(MADE, 50, 2)


def test_a_mutant_more_moves_no_other() -> None:
    names = MADE[GUARD]
    assert [name for name in queued([*names, "new"], 1) if name != "new"] == queued(names, 1)


def test_every_guard_is_a_module_that_is_there() -> None:
    assert [module for module in GUARDS if not file_of(module).is_file()] == []


def test_every_argument_is_about_a_line_that_is_there_and_is_one_line() -> None:
    for (module, was, becomes), because in arguments().items():
        code = " ".join(line.strip() for line in file_of(module).read_text(encoding="utf-8").splitlines())
        assert was in code, (module, was)
        assert becomes != was
        assert because
        assert "\n" not in because
