"""Paths and files: what a path leads to, opened as that and nothing else."""
