"""How far commands are confined, and the proof that they are."""

from toka.tools.sandbox._level import SandboxLevel, SandboxPolicy
from toka.tools.sandbox._proof import SandboxReport, prove, require

__all__ = ["SandboxLevel", "SandboxPolicy", "SandboxReport", "prove", "require"]
