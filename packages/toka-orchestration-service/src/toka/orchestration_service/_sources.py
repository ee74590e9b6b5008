"""What a run may be begun from over HTTP: files of the workspace, or a document in the request.

Files outside the workspace are not read, wherever links lead, because even the message about a
fault in a file would tell what is in it. A document that came in a request may not name code: what
can be imported in the service's process is for its operator to choose.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import anyio.to_thread
import attrs
import msgspec

from toka.orchestration import SpecCache, define_run, load_specs
from toka.orchestration_service._errors import InvalidRequest
from toka.types import InvalidValueError, check_agent_name, ulid

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path

    from toka.orchestration import RunDefinition, SpecSet
    from toka.orchestration_service._service import Settings
    from toka.orchestration_service._shapes import StartRun


class Sources:
    """Makes definitions of runs of what requests name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._cache = SpecCache()

    async def define(self, wanted: StartRun) -> tuple[RunDefinition, tuple[str, ...]]:
        """Return the definition of the run that a request wants, with the warnings about it.

        Raises:
            InvalidRequest: The source is outside the workspace, or brings code.
            SpecError: The specification is not usable.
        """
        # What was read needs no thread, whose work would only compete with this one's.
        source = wanted.source
        if isinstance(source, str) and self._cache.has(_inside(_workspace(self._settings), source)):
            return define(self._settings, wanted, self._cache)
        return await anyio.to_thread.run_sync(define, self._settings, wanted, self._cache)

    def again(self, definition: RunDefinition) -> RunDefinition:
        """Return the definition of another run of the same thing, with a place of its own."""
        # Its place follows from a fresh identifier, as that of every run.
        name = ulid(time.time_ns() // 1_000_000, os.urandom(10))
        artifacts = self._settings.data_dir.resolve() / "runs" / name / "artifacts"
        return attrs.evolve(definition, artifacts=str(artifacts))


def define(
    settings: Settings, wanted: StartRun, cache: SpecCache
) -> tuple[RunDefinition, tuple[str, ...]]:
    """Load what a request names, and return the run's definition with the warnings about it.

    Raises:
        InvalidRequest: The source is outside the workspace, or brings code.
        SpecError: The specification is not usable.
    """
    if isinstance(wanted.source, str):
        path = _inside(_workspace(settings), wanted.source)
        return _define(settings, path, wanted.inputs, cache.load)
    with _kept(settings.data_dir, wanted.source) as path:
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


def _inside(workspace: Path, source: str) -> Path:
    if "\0" in source:
        raise InvalidRequest("The source holds a NUL character.")
    root = workspace.resolve()
    try:
        path = (root / source).resolve(strict=True)
    except FileNotFoundError:
        path = (root / source).resolve()
    except OSError as error:
        raise InvalidRequest(f"The source cannot be a path: {error.strerror}.") from error
    if not path.is_relative_to(root):
        raise InvalidRequest(
            f"{source[:200]!r} is outside the service's workspace.",
            hint="Name a path relative to the directory that the service works in.",
        )
    return path


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
