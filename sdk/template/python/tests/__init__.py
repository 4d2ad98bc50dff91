"""The plugin's own tests, without WebAssembly: `python3 -m unittest` in the folder above.

They need the folder `bindings`, which `copal plugin build` makes: Python's view of the contract.
"""

import sys
from pathlib import Path

_PROJECT = Path(__file__).parent.parent
sys.path[:0] = [str(_PROJECT / "src"), str(_PROJECT / "bindings")]
