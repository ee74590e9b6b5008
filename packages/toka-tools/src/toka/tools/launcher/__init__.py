"""The processes between this one and a command: they start it, confine it and end all of its tree.

Standard library only, and as little of it as possible. It runs as `python -I -S` beside the program
that uses it. The kinds of processes, each forked by the one before:

- the server, one for a program, started with the first command;
- a guard, one for each command at a time. It is never confined, becomes the parent of what a
  command's children leave behind, and ends whatever is left;
- a starter, which takes the limits and the confinement of a command upon itself and so for all that
  it starts, for neither can be taken off again. It then starts that command and further ones that
  are to be kept in the same way; for any other it gives its place to a new starter.

So a command that is like one before costs no fork, whose price is the copying of an interpreter's
page tables: it is spawned as if nobody stood between. That code runs between fork and exec only in
a process that has nothing else to do is why none of this is done by the program itself, which may
have threads.
"""

from ._server import serve

__all__ = ["serve"]
