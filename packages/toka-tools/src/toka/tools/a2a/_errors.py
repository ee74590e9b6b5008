"""What speaking the Agent2Agent protocol raises.

    ToolError
    ├── AgentCardError      tools.a2a_card      no card, or one that cannot be worked with
    ├── AgentCallError      tools.a2a_failed    the other agent answered with an error
    └── CallerRefusedError  tools.a2a_refused   a caller of our own agent, without a valid token

A task that the other agent failed, refused or wants something for is a result.
"""

from __future__ import annotations

from toka.tools._errors import ToolError


class AgentCardError(ToolError, ValueError):
    """An agent's card cannot be read, or offers no way to reach it."""

    default_code = "tools.a2a_card"


class AgentCallError(ToolError):
    """Another agent answered with an error of the protocol, or with something else."""

    default_code = "tools.a2a_failed"


class CallerRefusedError(ToolError):
    """A caller has no token, or none that is accepted; which of the two is all that is said."""

    default_code = "tools.a2a_refused"
