"""``python -m tests.mutation``: change the code in small ways; a change that no test notices is a finding (exit 1).

Options: ``--sample`` how many mutants, about, for each ``--seed``; ``--only`` a pattern of mutants' names instead;
``--children`` processes at a time; ``--out`` where the table goes.
"""

import argparse
import sys
from fnmatch import fnmatch
from pathlib import Path

from tests.mutation.report import markdown, unexplained
from tests.mutation.sample import sample_of
from tests.mutation.trial import mutants_made, run, trials

SAMPLE = 400


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description="Does a test notice?")
    parser.add_argument("--sample", type=int, default=SAMPLE, help="how many mutants, about, for each seed")
    parser.add_argument("--seed", type=int, nargs="+", default=[1], help="of the sample; several are several samples")
    parser.add_argument("--only", help="a pattern of mutants' names, all of them, instead of a sample")
    parser.add_argument("--children", type=int, default=1, help="processes at a time")
    parser.add_argument("--out", type=Path, default=Path("mutants/report.md"), help="where the table goes")
    return parser.parse_args()


def main() -> int:
    options = _options()
    made = mutants_made()
    if options.only:
        names = [name for names in made.values() for name in names if fnmatch(name, options.only)]
    else:
        names = list(dict.fromkeys(name for seed in options.seed for name in sample_of(made, options.sample, seed)))
    run(names, options.children)
    found = list(trials(names))
    options.out.write_text(markdown(made, found), encoding="utf-8")
    left = unexplained(found)
    sys.stdout.write(f"{len(found)} tried, {len(left)} alive and not argued; {options.out}\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
