"""Search, classify and watch the meaning of an event log."""
