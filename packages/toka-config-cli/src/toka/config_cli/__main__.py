"""`python -m toka.config_cli` is the command `toka-config`."""

import sys

from toka.config_cli._main import main

if __name__ == "__main__":
    sys.exit(main())
