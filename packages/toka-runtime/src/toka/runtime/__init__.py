"""Hosts the kernel: authenticates, orders, commits and publishes every message, and recovers."""
