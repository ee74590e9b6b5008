"""Calls over HTTP: connections, time limits, retries, keys."""
