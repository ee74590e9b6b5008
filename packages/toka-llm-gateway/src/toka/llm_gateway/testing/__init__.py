"""Models and servers for tests: in process from a script, or over the real wire formats."""

from toka.llm_gateway.testing._scripted import Script, ScriptedModel, ScriptLine, events_of, reply

__all__ = ["Script", "ScriptLine", "ScriptedModel", "events_of", "reply"]
