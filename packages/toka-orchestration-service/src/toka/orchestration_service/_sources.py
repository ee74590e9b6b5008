"""What a run may be begun from over HTTP: files of the workspace, or a document in the request.

Files outside the workspace are not read, wherever links lead, because even the message about a
fault in a file would tell what is in it. A document that came in a request may not name code: what
can be imported in the service's process is for its operator to choose.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import OrderedDict
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import anyio.to_thread
import attrs
import msgspec

from toka.orchestration import SpecCache, define_run, load_specs, require_source_unchanged
from toka.orchestration_service._errors import InvalidRequest
from toka.types import InvalidValueError, check_agent_name, ulid

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from toka.orchestration import RunDefinition, SpecSet
    from toka.orchestration_service._service import Settings
    from toka.orchestration_service._shapes import StartRun


KEPT: Final = 64
"""Definitions that are kept, by what was asked for."""

_Asked: TypeAlias = tuple["Path", str, str, tuple[tuple[str, str], ...]]
"""The workspace, where that really is, the file, and the inputs."""


@attrs.frozen
class _Made:
    specs: SpecSet
    definition: RunDefinition
    warnings: tuple[str, ...]


class Sources:
    """Makes definitions of runs of what requests name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._cache = SpecCache()
        self._made: OrderedDict[_Asked, _Made] = OrderedDict()
        self._runs = os.path.join(os.path.realpath(settings.data_dir), "runs")  # noqa: PTH118 - see _inside

    async def define(self, wanted: StartRun) -> tuple[RunDefinition, tuple[str, ...]]:
        """Return the definition of the run that a request wants, with the warnings about it.

        Raises:
            InvalidRequest: The source is outside the workspace, or brings code.
            SpecError: The specification is not usable.
        """
        if not isinstance(wanted.source, str):
            return await anyio.to_thread.run_sync(_define_document, self._settings, wanted)
        workspace = _workspace(self._settings)
        root, path = _inside(workspace, wanted.source)
        asked = (workspace, root, str(path), tuple(sorted(wanted.inputs.items())))
        specs, made = self._cache.find(path), self._made.get(asked)
        if specs is not None and made is not None and made.specs is specs:
            # All but a run's own place follows from what the files and the request say.
            return self.again(made.definition), made.warnings
        definition, warnings = await anyio.to_thread.run_sync(
            _define, self._settings, path, wanted.inputs, self._cache.load
        )
        specs = self._cache.find(path)
        if specs is not None and specs.agents is definition.agents:
            self._keep(asked, _Made(specs, definition, warnings))
        return definition, warnings

    def _keep(self, asked: _Asked, made: _Made) -> None:
        self._made[asked] = made
        self._made.move_to_end(asked)
        if len(self._made) > KEPT:
            self._made.popitem(last=False)

    def again(self, definition: RunDefinition) -> RunDefinition:
        """Return the definition of another run of the same thing, with a place of its own."""
        # Its place follows from a fresh identifier, as that of every run.
        name = ulid(time.time_ns() // 1_000_000, os.urandom(10))
        return attrs.evolve(definition, retries=None, artifacts=f"{self._runs}/{name}/artifacts")

    async def require_unchanged(self, definition: RunDefinition) -> None:
        """Refuse to go on from a step under specifications that were edited since.

        Raises:
            SpecChanged: They were.
            SpecError: They are none any more.
        """
        await anyio.to_thread.run_sync(require_source_unchanged, definition, self._cache.load)


def _define_document(settings: Settings, wanted: StartRun) -> tuple[RunDefinition, tuple[str, ...]]:
    document = cast("Mapping[str, object]", wanted.source)
    with _kept(settings.data_dir, document) as path:
        definition, warnings = _define(settings, path, wanted.inputs)
        if any(spec.entry_of(task) for spec in definition.agents for task in spec.tasks):
            raise InvalidRequest(
                "A specification in a request may not name code to import.",
                hint="Put it into the service's workspace and name its path.",
            )
    return definition, warnings


def _define(
    settings: Settings,
    path: Path,
    inputs: Mapping[str, str],
    load: Callable[[Path], SpecSet] = load_specs,
) -> tuple[RunDefinition, tuple[str, ...]]:
    definition, warnings = define_run(
        [path], inputs, data_dir=settings.data_dir, workspace=_workspace(settings), load=load
    )
    return definition, tuple(str(warning) for warning in warnings)


def _workspace(settings: Settings) -> Path:
    return settings.live.workspace or settings.workspace


def _inside(workspace: Path, source: str) -> tuple[str, Path]:
    """Return where the workspace, and a file of it, really are."""
    if "\0" in source:
        raise InvalidRequest("The source holds a NUL character.")
    root = os.path.realpath(workspace)
    # As texts: with Path objects it would take three times as long, for each request.
    path = os.path.join(root, source)  # noqa: PTH118
    try:
        path = os.path.realpath(path, strict=True)
    except FileNotFoundError:
        path = os.path.realpath(path)
    except OSError as error:
        raise InvalidRequest(f"The source cannot be a path: {error.strerror}.") from error
    if os.path.commonpath((root, path)) != root:
        raise InvalidRequest(
            f"{source[:200]!r} is outside the service's workspace.",
            hint="Name a path relative to the directory that the service works in.",
        )
    return root, Path(path)


@contextmanager
def _kept(data_dir: Path, document: Mapping[str, object]) -> Generator[Path, None, None]:
    """Write a document under a name that follows from it; remove it again if it is no good."""
    data = msgspec.json.encode(document, order="sorted")
    folder = data_dir / "specs" / hashlib.sha256(data).hexdigest()[:32]
    path = folder / f"{_name_of(document)}.json"
    known = path.exists()
    if not known:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_suffix(f".{os.getpid()}")
        draft.write_bytes(data)
        draft.replace(path)
    try:
        yield path
    except BaseException:
        if not known:
            path.unlink()
            folder.rmdir()
        raise


def _name_of(document: Mapping[str, object]) -> str:
    metadata = document.get("metadata")
    name = cast("Mapping[str, object]", metadata).get("name") if isinstance(metadata, dict) else ""
    try:
        return check_agent_name(str(name))
    except InvalidValueError:
        # The loader will say what is wrong with the name; the file just needs one.
        return "spec"
