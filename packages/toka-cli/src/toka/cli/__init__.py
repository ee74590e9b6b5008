"""The toka command: run, serve, watch, approve, replay, explain and mint."""

from toka.cli._main import main

__all__ = ["main"]
