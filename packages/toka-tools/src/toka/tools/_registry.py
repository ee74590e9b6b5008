"""Tools by name: registered, found, checked and called."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Protocol, cast

import attrs

from toka.tools._errors import (
    AccessDeniedError,
    AlreadyRegisteredError,
    InvalidToolError,
    UnknownToolError,
)
from toka.tools._function import FunctionTool
from toka.tools._schema import check_arguments, check_depth, compile_schema, parse_arguments
from toka.tools._typed import TypedTool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from importlib.metadata import EntryPoint

    from jsonschema.protocols import Validator

    from toka.tools._context import ToolContext
    from toka.tools._result import ToolResult
    from toka.tools._tool import Tool
    from toka.types import JsonObject

ENTRY_POINT_GROUP = "toka.tools"

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


_QUICK = (TypedTool, FunctionTool)


class ToolSource(Protocol):
    """Tools that may come, go and change."""

    def tools(self) -> Mapping[str, Tool]:
        """Return the tools by name, as they are now; asked at every use, so it must be quick."""
        ...


@attrs.define(eq=False)
class ToolRegistry:
    """The tools of one host. Not for use from several threads."""

    _tools: dict[str, Tool] = attrs.field(factory=dict[str, "Tool"], init=False)
    _sources: list[ToolSource] = attrs.field(factory=list["ToolSource"], init=False)
    _validators: dict[str, tuple[Tool, Validator]] = attrs.field(
        factory=dict[str, "tuple[Tool, Validator]"], init=False
    )

    @classmethod
    def of(cls, tools: Iterable[Tool]) -> ToolRegistry:
        """Return a registry of these tools.

        Raises:
            AlreadyRegisteredError: Two have the same name.
            InvalidToolError: A name is not acceptable.
        """
        registry = cls()
        for tool in tools:
            registry.register(tool)
        return registry

    @classmethod
    def builtin(cls) -> ToolRegistry:
        """Return a registry of the tools that this distribution brings."""
        from toka.tools.builtin import builtin_tools  # noqa: PLC0415 - only users pay for them

        return cls.of(builtin_tools())

    def register(self, tool: Tool) -> None:
        """Add a tool.

        Raises:
            AlreadyRegisteredError: There is one of this name.
            InvalidToolError: The name is not acceptable.
        """
        if not _NAME.fullmatch(tool.name):
            raise InvalidToolError(
                f"{tool.name[:80]!r} cannot name a tool.",
                hint="Use a lower case letter, then letters, digits and '_', 64 at most.",
            )
        if tool.name in self._tools:
            raise AlreadyRegisteredError(
                f"There is a tool {tool.name!r} already.", details={"tool": tool.name}
            )
        self._tools[tool.name] = tool

    def add_source(self, source: ToolSource) -> None:
        """Add tools that may come, go and change, such as those of a directory of manifests.

        A tool that was registered goes before one of a source, and a source before a later one.
        """
        self._sources.append(source)

    def register_installed(self, *names: str) -> None:
        """Add tools that installed distributions offer, by the names of their entry points.

        Raises:
            UnknownToolError: Nothing installed has this name, or several things have.
            AlreadyRegisteredError: There is one of this name.
            InvalidToolError: What the entry point names is no tool.
        """
        for name in names:
            self.register(load_installed(name))

    def get(self, name: str) -> Tool:
        """Return the tool of this name.

        Raises:
            UnknownToolError: There is none; the message says which is spelt most like it.
        """
        found = self._tools.get(name)
        if found is not None:
            return found
        known = self._all()
        try:
            return known[name]
        except KeyError:
            raise _unknown(name, "There is no tool", known) from None

    def _all(self) -> Mapping[str, Tool]:
        """Return every tool as it is now."""
        if not self._sources:
            return self._tools
        known: dict[str, Tool] = {}
        for source in reversed(self._sources):
            known.update({n: tool for n, tool in source.tools().items() if _NAME.fullmatch(n)})
        return known | self._tools

    def names(self) -> tuple[str, ...]:
        """Return the names of all tools, sorted."""
        return tuple(sorted(self._all()))

    def __iter__(self) -> Iterator[Tool]:
        return iter([tool for _, tool in sorted(self._all().items())])

    def __len__(self) -> int:
        return len(self._all())

    def validate(self, name: str, arguments: JsonObject | str | bytes) -> JsonObject:
        """Return the arguments as an object, if they satisfy the tool's schema.

        Args:
            name: The tool.
            arguments: An object, or JSON text as a model wrote it. Of text, the size is looked at
                before it is parsed.

        Raises:
            UnknownToolError: There is no such tool.
            InvalidArgumentsError: They do not; the message names the place and the remedy.
            InvalidToolError: The tool's schema is not valid.
        """
        return self._checked(self.get(name), arguments)

    def _checked(self, tool: Tool, arguments: JsonObject | str | bytes) -> JsonObject:
        if isinstance(arguments, (str, bytes)):
            arguments = parse_arguments(arguments, tool.name)
        check_depth(arguments, tool.name)
        if not _fits_quickly(tool, arguments):
            check_arguments(self._validator(tool), arguments, tool.name)
        return arguments

    def _validator(self, tool: Tool) -> Validator:
        known = self._validators.get(tool.name)
        if known is None or known[0] is not tool:
            known = (tool, compile_schema(tool.parameters, tool.name))
            self._validators[tool.name] = known
        return known[1]

    async def call(
        self, name: str, arguments: JsonObject | str | bytes, context: ToolContext
    ) -> ToolResult:
        """Check the arguments, check the grant, and call.

        The durable path asks the kernel for the grant instead; this is for use without one.

        Raises:
            ToolError: Something of that failed.
        """
        tool = self.get(name)
        checked = self._checked(tool, arguments)
        for request in tool.requests(checked, context.workspace):
            if not context.granted.covers(request):
                raise AccessDeniedError(
                    f"{name} needs {request}, which is not granted.",
                    hint="Ask for that permission.",
                    details={"tool": name, "request": request},
                )
        return await tool.call(checked, context)


def _fits_quickly(tool: Tool, arguments: JsonObject) -> bool:
    # A tool made of a class decides itself, in a tenth of the time; the validator is for the
    # others, and for saying what is wrong.
    return isinstance(tool, _QUICK) and tool.fits(arguments)


def installed_tools() -> dict[str, str]:
    """Return the tools that installed distributions offer: entry point name to distribution.

    Nothing of them is imported.
    """
    return {
        entry.name: entry.dist.name if entry.dist is not None else "unknown"
        for entry in sorted(_entries(), key=lambda entry: entry.name)
    }


def load_installed(name: str) -> Tool:
    """Import and return the one tool that is installed under this name.

    The entry point names a tool, or something to be called without arguments for one.

    Raises:
        UnknownToolError: Nothing has this name, or several distributions use it.
        InvalidToolError: What the entry point names is no tool.
    """
    entries = _entries()
    matches = [entry for entry in entries if entry.name == name]
    if not matches:
        raise _unknown(name, "No installed distribution offers the tool", _names(entries))
    if len(matches) > 1:
        raise UnknownToolError(
            f"Several installed distributions offer the tool {name!r}.",
            hint="Uninstall all but one.",
            details={"values": [entry.value for entry in matches]},
        )
    loaded: object = matches[0].load()
    tool = loaded() if isinstance(loaded, type) else loaded
    if not callable(getattr(tool, "call", None)) or not hasattr(tool, "requests"):
        raise InvalidToolError(f"{matches[0].value} is not a tool.")
    return cast("Tool", tool)


def _entries() -> tuple[EntryPoint, ...]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - 20 ms, only to look for plug-ins

    return tuple(entry_points(group=ENTRY_POINT_GROUP))


def _names(entries: Iterable[EntryPoint]) -> list[str]:
    return [entry.name for entry in entries]


def _unknown(name: str, problem: str, known: Iterable[str]) -> UnknownToolError:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, 1)
    hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(names) or 'none'}."
    return UnknownToolError(
        f"{problem} {name[:80]!r}.", hint=hint, details={"tool": name[:80], "known": names}
    )
