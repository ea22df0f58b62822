"""Helm's library does not spend a quarter of each rendering on collecting garbage: Go reads this when it is loaded."""

import os

os.environ.setdefault("GOGC", "400")
