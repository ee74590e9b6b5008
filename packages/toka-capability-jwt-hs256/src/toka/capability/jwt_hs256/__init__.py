"""Capability tokens as strict HS256 JWTs."""
