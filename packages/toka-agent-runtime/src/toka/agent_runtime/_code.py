"""Code as a task's program: an async function of one context, found by its name."""

from __future__ import annotations

import importlib
import inspect
import sys
from functools import lru_cache
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, TypeAlias

import attrs

from toka.agent_runtime._errors import EntryInvalid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from types import ModuleType

    from toka.agent_runtime._context import TaskContext
    from toka.types import Json

    Entry: TypeAlias = Callable[[TaskContext], Awaitable[Json]]


@attrs.frozen
class Code:
    """An async function that does a task."""

    function: Entry


def load_entry(entry: str, search_path: Path | None = None) -> Code:
    """Import the function that `package.module:function` names.

    Args:
        entry: The module's dotted name, a colon, and the function's name in it.
        search_path: A directory in which the module is looked for before everywhere else.

    Raises:
        EntryInvalid: There is no such module or function, the module cannot be imported, or the
            function is not an async one of one argument.

    """
    module_name, colon, name = entry.partition(":")
    if not (colon and module_name and name):
        raise EntryInvalid(f"{entry!r} is not an entry.", hint="Write package.module:function.")
    found: object = _import(module_name, entry, search_path)
    for part in name.split("."):
        if not hasattr(found, part):
            raise EntryInvalid(f"Module {module_name} has no {name!r}, which {entry!r} names.")
        found = getattr(found, part)
    return Code(_checked(found, entry))


def _import(name: str, entry: str, search_path: Path | None) -> object:
    known = sys.modules.get(name)
    if known is not None and search_path is not None and _is_of(name, str(search_path)):
        return known
    directory = None if search_path is None else str(search_path.resolve())
    if directory is not None:
        sys.path.insert(0, directory)
        importlib.invalidate_caches()
    try:
        return _own(importlib.import_module(name), directory)
    except ModuleNotFoundError as error:
        missing = error.name or name
        where = f" in {directory}" if directory else ""
        text = f"{entry!r} cannot be loaded: there is no module {missing!r}{where}."
        raise EntryInvalid(text, details={"module": missing}) from error
    except EntryInvalid:
        raise
    except Exception as error:
        raise EntryInvalid(
            f"Importing module {name} for {entry!r} failed: {type(error).__name__}: {error}"
        ) from error
    finally:
        if directory is not None:
            sys.path.remove(directory)


def _is_of(name: str, directory: str) -> bool:
    """Say whether a module that was imported stands in a directory; this asks no disk."""
    top = name.partition(".")[0]
    spec = getattr(sys.modules.get(top), "__spec__", None)
    origin = getattr(spec, "origin", None)
    return origin in (f"{directory}/{top}.py", f"{directory}/{top}/__init__.py")


def _own(module: ModuleType, directory: str | None) -> ModuleType:
    """Return the module, unless it is another one that was imported earlier under its name."""
    top = module.__name__.partition(".")[0]
    here = None if directory is None else PathFinder.find_spec(top, [directory])
    origin = sys.modules[top].__spec__
    if here is not None and origin is not None and here.origin != origin.origin:
        raise EntryInvalid(
            f"Module {top!r} of {directory} cannot be loaded: {origin.origin or 'another one'} has"
            " been imported under this name.",
            hint="Give the module a name that nothing else has.",
        )
    return module


def _checked(found: object, entry: str) -> Entry:
    if not inspect.iscoroutinefunction(found):
        raise EntryInvalid(f"{entry!r} is not an async function.", hint="Define it by `async def`.")
    try:
        _bind_one(found)
    except TypeError as error:
        raise EntryInvalid(
            f"{entry!r} cannot be called with one context: {error}.",
            hint="Define it as `async def name(ctx)`.",
        ) from error
    return found


# An entry is looked up for every task, and what its function takes does not change.
@lru_cache(maxsize=256)
def _bind_one(function: Callable[..., object]) -> None:
    inspect.signature(function).bind(None)
