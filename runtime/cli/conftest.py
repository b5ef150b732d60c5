"""Tests of the console's command line against a real engine, side by side with the docker CLI."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "api"), str(HERE.parent / "image")]

from fixtures import _able, engine, own_engine, shared  # noqa: E402, F401  (needs the path above)
