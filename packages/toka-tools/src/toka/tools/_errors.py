"""Everything that this distribution raises.

    ToolError                      tools.error
    ├── UnknownToolError           tools.unknown_tool        no such name, or not exactly one
    ├── AlreadyRegisteredError     tools.already_registered
    ├── InvalidToolError           tools.invalid_tool        a bad name, schema or signature
    ├── InvalidManifestError       tools.invalid_manifest
    ├── InvalidArgumentsError      tools.invalid_arguments   the call breaks the tool's schema
    ├── AccessDeniedError          tools.access_denied       no grant covers what would be touched
    │   ├── PathDeniedError        tools.path_denied
    │   ├── CommandDeniedError     tools.command_denied
    │   └── AddressDeniedError     tools.address_denied
    ├── FileAccessError            tools.file_error          the system says no
    │   ├── FileMissingError       tools.file_missing
    │   ├── WrongFileTypeError     tools.wrong_file_type     a directory, pipe or device, or not one
    │   ├── PathChangedError       tools.path_changed        a link was swapped in under the call
    │   └── TextNotThereError      tools.text_not_there      not there, or not as often as said
    ├── QueryError                 tools.query_failed        refused, wrong, or no database
    ├── RepositoryError            tools.repository_error    no repository, or Git refuses
    ├── NotesError                 tools.notes_failed        nowhere to keep them, or no room
    ├── NoPersonError              tools.no_person           nobody to ask, or no fitting answer
    │   └── PersonDeclinedError    tools.person_declined     they do not want to answer
    ├── CommandStartError          tools.command_not_started
    ├── SandboxUnavailableError    tools.sandbox_unavailable this machine does not prove the level
    ├── RemoteToolError            tools.remote_failed       what is behind a tool said so
    ├── HttpRequestError           tools.http_failed
    │   └── PageNotTextError       tools.not_a_page          an image, an archive, a program
    └── ToolTimeoutError           tools.timeout

A command that exits with status 1 and a server that answers 404 are results, not errors. None of
these is an `OSError`: between a refusal and a failing system call must lie a type.
"""

from __future__ import annotations

from typing import ClassVar

from toka.types import TokaError


class ToolError(TokaError):
    """A tool call did not happen, or did not come to its end.

    Attributes:
        transient: The same call may succeed later without anybody changing anything.
    """

    default_code: ClassVar[str] = "tools.error"
    transient: ClassVar[bool] = False


class UnknownToolError(ToolError, LookupError):
    """No tool, or more than one installed, has this name."""

    default_code = "tools.unknown_tool"


class AlreadyRegisteredError(ToolError, ValueError):
    """A registry already holds a tool of this name."""

    default_code = "tools.already_registered"


class InvalidToolError(ToolError, ValueError):
    """A tool cannot be registered: its name, schema or signature is wrong."""

    default_code = "tools.invalid_tool"


class InvalidManifestError(ToolError, ValueError):
    """A tool manifest cannot be understood."""

    default_code = "tools.invalid_manifest"


class InvalidArgumentsError(ToolError, ValueError):
    """The arguments of a call break the tool's schema or a size limit."""

    default_code = "tools.invalid_arguments"


class AccessDeniedError(ToolError):
    """The grant does not cover what the call would touch."""

    default_code = "tools.access_denied"


class PathDeniedError(AccessDeniedError):
    """The path is outside the grant, protected, or has a form that is never accepted."""

    default_code = "tools.path_denied"


class CommandDeniedError(AccessDeniedError):
    """The program, an option or an environment variable is outside the grant."""

    default_code = "tools.command_denied"


class AddressDeniedError(AccessDeniedError):
    """The URL, or an address that it leads to, is outside the grant."""

    default_code = "tools.address_denied"


class FileAccessError(ToolError):
    """The operating system refused: a full disk, missing rights, a name too long."""

    default_code = "tools.file_error"


class FileMissingError(FileAccessError):
    """There is nothing at this path."""

    default_code = "tools.file_missing"


class WrongFileTypeError(FileAccessError):
    """The path leads to another type of file than the tool works on."""

    default_code = "tools.wrong_file_type"


class PathChangedError(FileAccessError):
    """A component of the checked path is a symbolic link by the time it is opened."""

    default_code = "tools.path_changed"


class TextNotThereError(FileAccessError):
    """What an edit is to replace is not in the file, or not as often as was said."""

    default_code = "tools.text_not_there"


class QueryError(ToolError):
    """A database refused a statement, could not do it, or is none."""

    default_code = "tools.query_failed"


class RepositoryError(ToolError):
    """There is no repository, or Git does not understand what it was asked about it."""

    default_code = "tools.repository_error"


class NotesError(ToolError):
    """There is nowhere to keep notes, no room for another, or they cannot be read or written."""

    default_code = "tools.notes_failed"


class NoPersonError(ToolError):
    """There is nobody to ask, or the answer is none that was asked for."""

    default_code = "tools.no_person"


class PersonDeclinedError(NoPersonError):
    """They were asked, and do not want to answer; the message may say why."""

    default_code = "tools.person_declined"


class CommandStartError(ToolError):
    """A program could not be found or started."""

    default_code = "tools.command_not_started"


class SandboxUnavailableError(ToolError):
    """The policy demands a sandbox that this machine does not prove; no command was run."""

    default_code = "tools.sandbox_unavailable"


class RemoteToolError(ToolError):
    """The program or server behind a tool answered with an error, or with nothing that is one."""

    default_code = "tools.remote_failed"


class HttpRequestError(ToolError):
    """A request got no complete answer: no address, no connection, or a broken response."""

    default_code = "tools.http_failed"
    transient = True


class PageNotTextError(HttpRequestError):
    """What a URL leads to is no text that could be read as a page."""

    default_code = "tools.not_a_page"
    transient = False


class ToolTimeoutError(ToolError):
    """A call was ended because its time was up; nothing of it runs any more."""

    default_code = "tools.timeout"
    transient = True
