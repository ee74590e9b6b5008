"""Read, check and change configuration files without losing a comment."""

from toka.config_cli._document import Document, load
from toka.config_cli._key_path import Rules, parse_path, show_path
from toka.config_cli._main import main

__all__ = ["Document", "Rules", "load", "main", "parse_path", "show_path"]
