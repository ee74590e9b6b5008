"""Whom one can ask: a class for each format, presets, and third parties."""
