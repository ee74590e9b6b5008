"""Tool manifests, read as data."""
