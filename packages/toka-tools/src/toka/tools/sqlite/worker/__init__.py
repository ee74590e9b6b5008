"""The process that opens one database, makes one statement, and ends.

Standard library only; it runs as `python -I -S` in the sandbox that `toka.tools.sqlite` has made.
It takes the question from standard input and leaves the answer on standard output, both JSON.
"""

from ._answer import answer
from ._main import main

__all__ = ["answer", "main"]
