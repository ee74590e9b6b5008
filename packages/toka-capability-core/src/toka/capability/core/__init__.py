"""Permissions that cover one another, claims, and the protocols of token issuers and validators."""
