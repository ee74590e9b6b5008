"""`toka cvm`: run a WebAssembly guest under a token, and say what a module asks for."""

from __future__ import annotations

import json
import sys
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Never

import click

from toka.cli._errors import UsageError
from toka.cli._exits import Exit
from toka.cli._options import json_option
from toka.cli._own_token import claims_for
from toka.cli._show import printable
from toka.types import Json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.cvm import (
        ComponentGuest,
        Guest,
        GuestComponent,
        GuestModule,
        HttpHandler,
        HttpRequest,
        Limits,
        Machine,
        Outcome,
        RefusedImport,
    )
    from toka.tools import ToolContext, ToolResult

_MODULE = click.argument("module", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.group(
    "cvm",
    epilog="""\b
Examples:
  toka cvm inspect count.wasm
  toka cvm run count.wasm --grant 'fs:read:/data/**' -- /data/report.txt""",
)
def command() -> None:
    """Run WebAssembly guests that may do what is granted, and nothing else."""


@command.command(
    "run",
    context_settings={"ignore_unknown_options": True},
    epilog="""\b
Examples:
  toka cvm run count.wasm --grant 'fs:read:/data/**' -- /data/report.txt
  toka cvm run filter.wasm --input - < big.json
  toka cvm run model.wasm --deterministic --seed 7 --fuel 5000000 --json

A module that asks for more than is granted is refused before anything of it runs, with the grants
that are missing. Text (.wat) is taken, too.""",
)
@_MODULE
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--grant", "permissions", multiple=True, help="A permission, as fs:read:/data/**; repeatable."
)
@click.option("--input", "given", default="", help="A file for its standard input; - reads ours.")
@click.option("--env", "variables", multiple=True, help="NAME=VALUE for it; repeatable.")
@click.option("--export", help="The function to run; _start or wasi:cli/run by default.")
@click.option("--fuel", type=click.IntRange(min=0), help="About one unit an instruction.")
@click.option("--deadline", default="10s", show_default=True, help="Its time, host calls included.")
@click.option("--memory", type=click.IntRange(min=0), help="Bytes that its memory may reach.")
@click.option("--deterministic", is_flag=True, help="Time and randomness from the seed alone.")
@click.option("--seed", help="Any text, with --deterministic.")
@json_option
def run(
    *,
    module: Path,
    arguments: tuple[str, ...],
    permissions: tuple[str, ...],
    given: str,
    variables: tuple[str, ...],
    export: str | None,
    fuel: int | None,
    deadline: str,
    memory: int | None,
    deterministic: bool,
    seed: str | None,
    as_json: bool,
) -> int:
    """Run MODULE, a core module or a component, with ARGUMENTS, and print what it prints."""
    cvm = _Cvm(deterministic=deterministic)
    compiled = cvm.compile(module)
    outcome = cvm.run(
        compiled,
        permissions,
        limits=_limits(fuel, deadline, memory),
        seed=None if seed is None else seed.encode(),
        arguments=(module.name, *arguments),
        data=_input(given),
        environment=_environment(variables),
        export=export,
    )
    _print(outcome, as_json=as_json)
    return Exit.MET if outcome.status == 0 else Exit.NOT_MET


@command.command("inspect", epilog="\b\nExample:\n  toka cvm inspect count.wasm --json")
@_MODULE
@json_option
def inspect(*, module: Path, as_json: bool) -> int:
    """Say what MODULE exports and imports, and which grants it needs to start."""
    cvm = _Cvm()
    compiled = cvm.compile(module)
    refused = cvm.refused(compiled)
    pin = sha256(module.read_bytes()).hexdigest()
    needs = sorted({one.needs for one in refused if one.needs})
    if as_json:
        imports: list[Json] = [f"{place}.{name}" for place, name in _wanted(compiled)]
        facts: dict[str, Json] = {
            "digest": compiled.digest,
            "sha256": pin,
            "exports": list[Json](compiled.exports),
            "imports": imports,
            "needs": list[Json](needs),
        }
        click.echo(json.dumps(facts))
        return Exit.MET
    click.echo(f"sha256   {pin}")
    click.echo(f"exports  {', '.join(map(printable, compiled.exports)) or 'no function'}")
    for place, name in _wanted(compiled):
        why = next((one for one in refused if (one.module, one.name) == (place, name)), None)
        note = "" if why is None else (f"needs {why.needs}" if why.needs else why.why)
        click.echo(f"imports  {printable(f'{place}.{name}')}  {note}".rstrip())
    return Exit.MET


@command.command(
    "call",
    epilog="""\b
Examples:
  toka cvm call count.json --args '{"path": "report.txt"}' --allow "fs:read:$PWD/**"
  toka cvm call count.json --args - --allow 'fs:read:/data/**' < arguments.json

MANIFEST is the JSON file of a tool; its module lies beside it. Nothing is allowed but what --allow
says, and nothing of this is recorded in a log.""",
)
@click.argument("manifest", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--args", "arguments", default="{}", help="A JSON object; - reads it from input.")
@click.option("--allow", "permissions", multiple=True, help="A permission; repeatable.")
def call(*, manifest: Path, arguments: str, permissions: tuple[str, ...]) -> int:
    """Call the tool of MANIFEST, a WebAssembly guest, and print its result."""
    import anyio  # noqa: PLC0415 - not for --help

    cvm = _Cvm()
    if arguments == "-":
        arguments = sys.stdin.read()
    result = anyio.run(cvm.call, manifest, arguments, permissions)
    click.echo(json.dumps(result.value, indent=2, ensure_ascii=False))
    return Exit.MET


class _Cvm:
    """The machine, if it is installed."""

    def __init__(self, *, deterministic: bool = False) -> None:
        try:
            from toka.cvm import Machine  # noqa: PLC0415 - an extra
        except ModuleNotFoundError as error:
            raise UsageError(
                "The machine for WebAssembly is not installed.",
                hint='Install it: pip install "toka-cli[cvm]".',
            ) from error
        self.machine: Machine = Machine(deterministic=deterministic)

    async def call(
        self, manifest: Path, arguments: str, permissions: tuple[str, ...]
    ) -> ToolResult:
        """Call a tool that is a guest."""
        from toka.cvm import MemoryKeyValue  # noqa: PLC0415 - an extra
        from toka.tools import ToolRegistry  # noqa: PLC0415 - not for --help
        from toka.tools.wasm import load_wasm_tool  # noqa: PLC0415 - an extra

        tool = load_wasm_tool(manifest, machine=self.machine, key_value=MemoryKeyValue())
        registry = ToolRegistry.of([tool])
        return await registry.call(tool.name, arguments, _context(permissions))

    def compile(self, module: Path) -> GuestModule | GuestComponent:
        """Compile a file, text or binary, module or component."""
        from toka.cvm import is_component, text_to_binary  # noqa: PLC0415 - an extra

        data = module.read_bytes()
        if module.suffix == ".wat":
            data = text_to_binary(data.decode("utf-8", "replace"))
        if is_component(data):
            return self.machine.compile_component(data)
        return self.machine.compile(data)

    def refused(self, module: GuestModule | GuestComponent) -> tuple[RefusedImport, ...]:
        """Return what is not linked where nothing is granted and everything is served."""
        from toka.cvm import NOTHING_GRANTED, MemoryKeyValue, Services  # noqa: PLC0415

        served = Services(key_value=MemoryKeyValue(), http=_unasked)
        return self.machine.refused_imports(module, NOTHING_GRANTED, served)

    def run(
        self,
        module: GuestModule | GuestComponent,
        permissions: tuple[str, ...],
        *,
        limits: Limits,
        seed: bytes | None,
        arguments: tuple[str, ...],
        data: bytes,
        environment: Mapping[str, str],
        export: str | None,
    ) -> Outcome:
        """Run a program to its end; what it printed before it was ended is printed, too."""
        from toka.cvm import (  # noqa: PLC0415 - an extra
            Authority,
            GuestComponent,
            GuestEndedError,
            MemoryKeyValue,
            Services,
        )
        from toka.types import SystemClock  # noqa: PLC0415

        clock = SystemClock()
        authority = Authority.of(claims_for(permissions, clock), clock)
        services = Services(clock=clock, key_value=MemoryKeyValue(), http=_http(permissions))
        machine = self.machine
        made: Guest | ComponentGuest
        if isinstance(module, GuestComponent):
            component = machine.instantiate_component(
                module, authority, limits=limits, services=services, seed=seed
            )
            made, begin = component, partial(component.run, export=export)
        else:
            guest = machine.instantiate(
                module, authority, limits=limits, services=services, seed=seed
            )
            made, begin = guest, partial(guest.run, export=export or "_start")
        with made:
            try:
                return begin(arguments, data=data, environment=environment)
            except GuestEndedError:
                output, errors = made.take_output()
                sys.stdout.buffer.write(output)
                sys.stderr.buffer.write(errors)
                raise


def _wanted(compiled: GuestModule | GuestComponent) -> list[tuple[str, str]]:
    """Return what a guest imports: of what, and its name."""
    from toka.cvm import GuestComponent  # noqa: PLC0415 - an extra

    if isinstance(compiled, GuestComponent):
        return [(one.interface, one.name) for one in compiled.found.functions]
    return [(one.module, one.name) for one in compiled.imports]


def _unasked(_request: HttpRequest, _seconds: float) -> Never:
    raise OSError("Nothing runs here.")


def _http(permissions: tuple[str, ...]) -> HttpHandler:
    """Return what does a guest's requests: the tool for agents, with all its checks."""
    from toka.tools.wasm import http_handler  # noqa: PLC0415 - an extra

    return http_handler(_context(permissions))


def _context(permissions: tuple[str, ...]) -> ToolContext:
    from toka.tools import ToolContext, Workspace  # noqa: PLC0415 - not for --help
    from toka.types import SystemClock  # noqa: PLC0415

    return ToolContext(Workspace(Path.cwd()), claims_for(permissions, SystemClock()).granted)


def _limits(fuel: int | None, deadline: str, memory: int | None) -> Limits:
    from toka.agent_runtime import parse_duration  # noqa: PLC0415 - not for --help
    from toka.cvm import Limits  # noqa: PLC0415
    from toka.types import NANOSECONDS  # noqa: PLC0415

    usual = Limits()
    return Limits(
        fuel=usual.fuel if fuel is None else fuel,
        deadline_seconds=parse_duration(deadline) / NANOSECONDS,
        memory_bytes=usual.memory_bytes if memory is None else memory,
    )


def _input(given: str) -> bytes:
    if given == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(given).read_bytes() if given else b""
    except OSError as error:
        raise UsageError(f"--input {given} cannot be read: {error.strerror}.") from error


def _environment(variables: tuple[str, ...]) -> dict[str, str]:
    for one in variables:
        if "=" not in one:
            raise UsageError(f"--env {one} has no value.", hint="As in --env NAME=VALUE.")
    return dict(one.split("=", 1) for one in variables)


def _print(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        facts = {
            "status": outcome.status,
            "output": outcome.output.decode("utf-8", "replace"),
            "error_output": outcome.error_output.decode("utf-8", "replace"),
            "fuel_used": outcome.fuel_used,
            "denied": list(outcome.denied),
        }
        click.echo(json.dumps(facts))
        return
    sys.stdout.buffer.write(outcome.output)
    sys.stdout.buffer.flush()
    sys.stderr.buffer.write(outcome.error_output)
    sys.stderr.buffer.flush()
    for one in outcome.denied:
        click.echo(f"not granted: {printable(one)}", err=True)
    if outcome.status:
        click.echo(f"The guest ended with status {outcome.status}.", err=True)
