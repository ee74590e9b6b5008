"""Secrets by name, read where a permission covers the name, and kept out of what comes back."""

from toka.tools.secrets._secrets import EnvironmentSecrets, SecretMissingError, Secrets

__all__ = ["EnvironmentSecrets", "SecretMissingError", "Secrets"]
