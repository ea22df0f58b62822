"""How does ``has(token.acr)`` work when ``token.acr`` is a variable and no field of a map?

CEL's ``has`` wants a field.  The call is spelled as the name of a second variable, ``has.token.acr``, in place and of
the same length, so every later line and column stays true.  Texts and comments are stepped over.
"""

import re
from typing import Final

from ott_extauthz.policy.expressions.variables import VARIABLES

_TOKEN: Final = re.compile(
    r"""
      //[^\n]*
    | (?:[bB]?[rR]|[rR][bB])(?:\"\"\".*?\"\"\"|'''.*?'''|"[^"\n]*"|'[^'\n]*')
    | \"\"\"(?:[^\\]|\\.)*?\"\"\" | '''(?:[^\\]|\\.)*?''' | "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*'
    | (?<![\w.])has(?P<open>\s*\()(?P<name>\s*\w+(?:\s*\.\s*\w+)+\s*)(?P<close>\))
    | [A-Za-z_]\w*
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)


def with_presence(text: str) -> str:
    """Return ``text`` with every ``has()`` over a variable as that variable's presence."""
    return _TOKEN.sub(_spelled, text)


def _spelled(found: re.Match[str]) -> str:
    name = found["name"]
    if name is None or re.sub(r"\s", "", name) not in VARIABLES:
        return found[0]
    return "has" + found["open"][:-1] + "." + name + " "
