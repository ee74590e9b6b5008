"""Errors of the command line.

TokaError
└── CliError                 cli.error
    ├── UsageError           cli.usage           options that do not go together
    ├── NoDataDirectory      cli.no_data         nothing was ever run here
    ├── DataUnusable         cli.data_unusable   the directory cannot be made
    ├── IdentitiesUnusable   cli.identities      identities.toml is wrong, or others may write it
    ├── ServiceConfigUnusable  cli.service_config  service.toml is wrong, or others may write it
    ├── Unreachable          cli.unreachable     no service answers at the address
    └── ServiceRefused       (the service's own code)
"""

from __future__ import annotations

from toka.types import TokaError


class CliError(TokaError):
    """Base of every error of this distribution."""

    default_code = "cli.error"


class UsageError(CliError):
    """Options that do not go together, or a value that no command takes."""

    default_code = "cli.usage"


class NoDataDirectory(CliError):
    """There is no log where one was looked for."""

    default_code = "cli.no_data"


class DataUnusable(CliError):
    """The data directory cannot be made."""

    default_code = "cli.data_unusable"


class IdentitiesUnusable(CliError):
    """The file of outside identities cannot be read, is wrong, or others may write it."""

    default_code = "cli.identities"


class ServiceConfigUnusable(CliError):
    """The configuration of a service cannot be read, is wrong, or others may write it."""

    default_code = "cli.service_config"


class Unreachable(CliError):
    """No service answers at the address."""

    default_code = "cli.unreachable"


class ServiceRefused(CliError):
    """A service refused a request; the code, the message and the hint are its own."""
