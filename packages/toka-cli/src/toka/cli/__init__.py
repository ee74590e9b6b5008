"""The toka command: run, serve, watch, approve, replay, explain and mint."""
