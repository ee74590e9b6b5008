"""Executes one agent's task as durable steps: playbook, code or model."""
