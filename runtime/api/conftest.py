"""Tests of the engine on this machine: init as a subreaper starts sampand, the API is driven over its socket."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "image")]

from fixtures import _able, engine, own_engine, shared  # noqa: E402, F401  (needs the path above)
