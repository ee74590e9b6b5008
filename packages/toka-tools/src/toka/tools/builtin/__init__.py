"""The tools that this distribution brings, a module each."""

from toka.tools.builtin._catalogue import builtin_tools

__all__ = ["builtin_tools"]
