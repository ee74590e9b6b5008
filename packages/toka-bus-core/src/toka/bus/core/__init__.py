"""Publish and subscribe in one process, with bounded queues and told-about gaps."""
