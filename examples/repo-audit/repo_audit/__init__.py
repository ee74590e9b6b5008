"""The code of the audit's agents. Everything that they see of the world comes through tools."""
