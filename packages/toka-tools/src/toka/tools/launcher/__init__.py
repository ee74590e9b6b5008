"""The processes between this one and a command: they start it, confine it and end all of its tree.

Standard library only, and as little of it as possible. It runs as `python -I -S` beside the program
that uses it: one server, started with the first command, which forks a supervisor for each command.
A supervisor does three things that the program cannot do for a child without running code between
fork and exec, which is unsafe in a process with threads: limits and confinement, no new
privileges, and becoming the parent of whatever the command's children leave behind. Forking a
small process that has nothing else to do takes a tenth of starting an interpreter.
"""

from ._server import serve

__all__ = ["serve"]
