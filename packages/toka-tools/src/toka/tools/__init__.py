"""Tools for agents: a registry, JSON Schema checks, and built-in file, command and HTTP tools."""
