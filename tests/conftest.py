"""Shared by all tests: the repository root is importable, so that `tests.support` is."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
