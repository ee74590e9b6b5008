"""Run one node: `python -m raft_node --help`."""

from __future__ import annotations

import sys

from ._process import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
