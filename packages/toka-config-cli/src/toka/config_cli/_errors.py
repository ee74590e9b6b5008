"""Errors of configuration files.

TokaError
└── ConfigError                config.error
    ├── UsageError             config.usage            options or values that no command takes
    │   └── KeyPathInvalid     config.key_path         the path of a key breaks a rule
    ├── FileUnusable           config.file             missing, in the way, unreadable, not ours
    │   └── FileLocked         config.locked           another edit holds the folder, or came first
    ├── SyntaxInvalid          config.syntax           the text is not of its format
    ├── NotThere               config.not_there        no such key, or a variable that is not set
    ├── EditRefused            config.edit_refused     the change cannot be made without harm
    ├── CannotCarry            config.cannot_carry     a format has no way to hold a value
    └── Invalid                config.invalid          a file does not fit its schema

Nothing was written when any of these is raised.
"""

from __future__ import annotations

from toka.types import TokaError


class ConfigError(TokaError):
    """Base of every error of this distribution."""

    default_code = "config.error"


class UsageError(ConfigError):
    """Options or values that no command takes."""

    default_code = "config.usage"


class KeyPathInvalid(UsageError):
    """The path of a key breaks a rule."""

    default_code = "config.key_path"


class FileUnusable(ConfigError):
    """A file is missing, in the way, unreadable, or of no known format."""

    default_code = "config.file"


class FileLocked(FileUnusable):
    """Another edit holds the folder, or changed the file meanwhile."""

    default_code = "config.locked"


class SyntaxInvalid(ConfigError):
    """The text is not of its format, or uses what is not accepted of it."""

    default_code = "config.syntax"


class NotThere(ConfigError):
    """There is no such key, or a variable is not set."""

    default_code = "config.not_there"


class EditRefused(ConfigError):
    """The change cannot be made without harm to something else."""

    default_code = "config.edit_refused"


class CannotCarry(ConfigError):
    """A format has no way to hold a value."""

    default_code = "config.cannot_carry"


class Invalid(ConfigError):
    """A file does not fit its schema."""

    default_code = "config.invalid"
