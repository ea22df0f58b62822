"""Who may change this file?  Whoever writes the policy decides everything, so a reload looks at who that is.

The start trusts what the operator named.  A change is taken only from a file that root, this process's user, or the
owner of the file in force owns, and that not everybody may write: a symlink bent to somebody's file in /tmp is not a
policy.
"""

import os
import stat
from collections.abc import Sequence

from ott_extauthz.documents.problems import Problem
from ott_extauthz.reload.looks import FileStat


def foreign(stats: Sequence[FileStat], in_force: Sequence[FileStat]) -> list[Problem]:
    """Return a problem for each file that a change must not come from."""
    owners = {0, os.geteuid(), *(one.owner for one in in_force if one.fault is None)}
    problems = []
    for one in stats:
        if one.owner not in owners:
            whose = "neither root's, nor this process's, nor of the owner of the file in force"
            problems.append(Problem(str(one.path), 0, 0, "", f"of uid {one.owner}: {whose}"))
        if one.mode & stat.S_IWOTH:
            problems.append(Problem(str(one.path), 0, 0, "", "everybody may write it; chmod o-w"))
    return problems
