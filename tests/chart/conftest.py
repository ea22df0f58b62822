"""Two libraries are kept from work that no test here asks for, before they are loaded."""

import os
import sys
from typing import Any, cast

# Go reads it: Helm's library does not spend a quarter of each rendering on collecting garbage.
os.environ.setdefault("GOGC", "400")
# jsonschema takes its absence: 38 grammars for the format `iri`, compiled for over a second, and no format is checked.
cast("dict[str, Any]", sys.modules).setdefault("rfc3987_syntax", None)
