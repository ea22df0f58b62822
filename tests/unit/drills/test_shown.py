import json
from io import StringIO

import pytest
from rich.console import Console

from ott_extauthz.drills.drill import Result, Verdict
from ott_extauthz.drills.observation import Observation
from ott_extauthz.drills.program import exit_code
from ott_extauthz.drills.shown import Shown, as_json, print_summary, told_as_one_line
from tests.unit.drills.grounds import drill, result

WELL, DIFFERS, SKIPPED = (result(verdict) for verdict in (Verdict.AS_EXPECTED, Verdict.DIFFERS, Verdict.SKIPPED))


def _printed(found: Result) -> str:
    text = StringIO()
    console = Console(file=text, width=200, highlight=False)
    shown = Shown(console)
    shown.begin(found.drill)
    for observation in found.observations:
        shown.tell(observation)
    shown.end(found)
    print_summary(console, [found])
    return text.getvalue()


def test_each_thing_is_shown_with_what_was_expected_and_seen_and_where_to_look() -> None:
    text = _printed(DIFFERS)
    assert "DIFFERS" in text
    assert "expected 200 passed; seen 401 token_expired" in text
    assert 'metric ott_denials_total{reason="token_expired"}' in text
    assert "alert SomeAlert" in text


def test_a_skipped_drill_is_shown_as_such_and_never_as_a_success() -> None:
    text = _printed(SKIPPED)
    assert "skipped" in text
    assert "no store" in text
    assert "as expected" not in text.replace("seen as expected", "")


def test_square_brackets_of_what_was_seen_are_printed_and_not_taken_for_markup() -> None:
    seen = Observation("sent [red]", "a", "[/] b", as_expected=False)
    text = _printed(Result(drill=drill(), observations=(seen,), seconds=0))
    assert "sent [red]" in text
    assert "[/] b" in text


def test_the_last_line_counts() -> None:
    assert told_as_one_line([WELL, WELL, SKIPPED]) == "2 as expected, 1 skipped."
    assert told_as_one_line([WELL, DIFFERS]) == "1 as expected, 1 differs."


def test_json_has_the_same() -> None:
    (tree,) = json.loads(as_json([DIFFERS]))
    assert tree["verdict"] == "differs"
    assert tree["look"]["alerts"] == ["SomeAlert"]
    assert tree["observations"] == [
        {"did": "did", "expected": "200 passed", "seen": "401 token_expired", "as_expected": False}
    ]
    (tree,) = json.loads(as_json([SKIPPED]))
    assert tree["skipped_because"] == "no store"


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ([WELL], 0),
        ([WELL, SKIPPED], 0),
        ([WELL, DIFFERS], 1),
        ([SKIPPED, DIFFERS], 1),
        ([SKIPPED], 1),  # nothing was shown
        ([], 1),
    ],
    ids=["well", "one skipped", "one differs", "skipped and differs", "only skipped", "none"],
)
def test_the_exit_code_is_zero_only_where_something_was_shown_and_nothing_differs(
    results: list[Result], code: int
) -> None:
    assert exit_code(results) == code
