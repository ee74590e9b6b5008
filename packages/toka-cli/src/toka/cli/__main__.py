"""`python -m toka.cli` is the command `toka`."""

import sys

from toka.cli import main

sys.exit(main())
