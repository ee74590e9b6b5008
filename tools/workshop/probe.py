"""What runs inside the empty environment: import one distribution and look at its face.

Started by path and isolated, so it may use nothing but the standard library.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import distribution
from pathlib import Path


def main(name: str, import_name: str, version: str) -> str:
    """Return what is wrong with an installed distribution, or an empty string."""
    module = import_module(import_name)
    installed = distribution(name)
    where = Path(module.__file__ or "").resolve()
    public = getattr(module, "__all__", None)
    if not where.is_relative_to(Path(sys.prefix).resolve()):
        return f"it came from {where}, not from its wheel"
    if not public:
        return "it has no __all__, or an empty one"
    if missing := [name for name in public if not hasattr(module, name)]:
        return f"its __all__ names what it does not have: {', '.join(missing)}"
    if installed.version != version:
        return f"its version is {installed.version}"
    for entry_point in installed.entry_points:
        entry_point.load()
    return ""


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) or 0)
