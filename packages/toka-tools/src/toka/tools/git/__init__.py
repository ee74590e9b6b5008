"""Repositories of Git, asked without letting them name anything that runs."""
