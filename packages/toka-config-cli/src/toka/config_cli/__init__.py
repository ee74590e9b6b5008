"""Read, check and change configuration files without losing a comment."""
