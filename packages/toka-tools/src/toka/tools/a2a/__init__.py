"""Agents that speak the Agent2Agent protocol: ours for others, and others as tools of ours."""

from toka.tools.a2a._agent import Agent, AgentCall, Content, News, Output, Progress, Question
from toka.tools.a2a._errors import AgentCallError, AgentCardError, CallerRefusedError
from toka.tools.a2a._gate import Caller, TokenGate
from toka.tools.a2a._remote import AgentTool, fetch_agent
from toka.tools.a2a._server import AgentOptions, Skill, agent_app

__all__ = [
    "Agent",
    "AgentCall",
    "AgentCallError",
    "AgentCardError",
    "AgentOptions",
    "AgentTool",
    "Caller",
    "CallerRefusedError",
    "Content",
    "News",
    "Output",
    "Progress",
    "Question",
    "Skill",
    "TokenGate",
    "agent_app",
    "fetch_agent",
]
