"""A directory of manifests whose changes are taken at the next call."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import attrs

from toka.tools._errors import InvalidManifestError, ToolError
from toka.tools._manifest_file import check_private
from toka.tools.manifests._load import SUFFIXES, read_bytes, read_tool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.tools._tool import Tool
    from toka.tools.manifests._json_tool import Handler

MAX_MANIFESTS: Final = 1_000

logger = logging.getLogger(__name__)

_Mark = tuple[int, int, int, int]


@attrs.frozen
class _Entry:
    """A file as it was read last."""

    mark: _Mark
    tool: Tool | None
    """What it described when it was last right."""
    problem: str


def _no_handlers() -> Mapping[str, Handler]:
    return MappingProxyType({})


@attrs.define(eq=False)
class ManifestDirectory:
    """The tools of a directory's manifests, a source for a registry.

    A file that has changed is read again when a tool is next asked for. If it is broken, the tool
    stays what it was, `problems` says why, and so does a warning in the log, once for each change.
    """

    path: Path = attrs.field(converter=Path)
    root: Path | None = None
    """The directory from which programs are named; see `load_tool`."""
    handlers: Mapping[str, Handler] = attrs.field(factory=_no_handlers)
    private: bool = attrs.field(default=False, kw_only=True)
    """Whether a file, or the folder, that others may write counts as broken, at each taking."""
    _refusal: str = attrs.field(default="", init=False)
    _entries: dict[str, _Entry] = attrs.field(factory=dict[str, _Entry], init=False)
    _tools: dict[str, Tool] = attrs.field(factory=dict[str, "Tool"], init=False)
    _marks: dict[str, _Mark] = attrs.field(factory=dict[str, _Mark], init=False)
    _doubles: dict[str, str] = attrs.field(factory=dict[str, str], init=False)

    def tools(self) -> Mapping[str, Tool]:
        """Return the tools by name, as their manifests are now."""
        marks = self._look()
        if marks != self._marks:
            self._entries = {name: self._read(name, mark) for name, mark in marks.items()}
            self._marks = marks
            self._collect()
        return self._tools

    @property
    def problems(self) -> Mapping[str, str]:
        """What is wrong, by the names of the files."""
        self.tools()
        broken = {name: entry.problem for name, entry in self._entries.items() if entry.problem}
        own = {".": self._refusal} if self._refusal else {}
        return {**own, **broken, **self._doubles}

    def _look(self) -> dict[str, _Mark]:
        """Return what tells a file from what it was before, by names in order."""
        found: dict[str, _Mark] = {}
        try:
            if not self._is_trusted():
                return self._marks
            with os.scandir(self.path) as entries:
                for entry in entries:
                    if entry.name.endswith(SUFFIXES) and not entry.name.startswith("."):
                        status = entry.stat()
                        times = (status.st_mtime_ns, status.st_ctime_ns)
                        found[entry.name] = (*times, status.st_size, status.st_ino)
        except OSError as error:
            logger.warning("The manifests in %s stay as they are: %s", self.path, error.strerror)
            return self._marks
        return {name: found[name] for name in sorted(found)[:MAX_MANIFESTS]}

    def _is_trusted(self) -> bool:
        """Say whether only we can put something into the folder, if that matters.

        Raises:
            OSError: It cannot be looked at.
        """
        if not self.private:
            return True
        before, self._refusal = self._refusal, ""
        try:
            check_private(self.path.stat(), self.path)
        except InvalidManifestError as error:
            self._refusal = str(error)
            if self._refusal != before:
                logger.warning("The manifests in %s stay as they are: %s", self.path, error)
        return not self._refusal

    def _read(self, name: str, mark: _Mark) -> _Entry:
        before = self._entries.get(name)
        if before is not None and before.mark == mark:
            return before
        path = self.path / name
        try:
            data = read_bytes(path, private=self.private)
            return _Entry(mark, read_tool(path, data, self.root, self.handlers), "")
        except (ToolError, ImportError) as error:
            logger.warning("A manifest is not taken: %s", error)
            return _Entry(mark, None if before is None else before.tool, str(error))

    def _collect(self) -> None:
        self._tools, self._doubles, origin = {}, {}, dict[str, str]()
        for file, entry in self._entries.items():
            if entry.tool is None:
                continue
            name = entry.tool.name
            if name in self._tools:
                self._doubles[file] = f"{origin[name]} describes a tool {name!r} already."
            else:
                self._tools[name], origin[name] = entry.tool, file
