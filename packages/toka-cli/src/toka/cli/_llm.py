"""`toka llm`: language models over HTTP, and which there are."""

from __future__ import annotations

import json
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import attrs
import click

from toka.cli._data_directory import DataDirectory
from toka.cli._errors import UsageError
from toka.cli._exits import Exit
from toka.cli._options import data_dir_option, json_option
from toka.types import SystemClock

if TYPE_CHECKING:
    from toka.llm_gateway import GatewayModels
    from toka.llm_gateway.server import Access

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@click.group("llm")
def command() -> None:
    """Serve language models to existing programs, and list them."""


_config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A TOML file of providers and models. By default the one model that TOKA_LLM_* names.",
)


@attrs.frozen
class _Wanted:
    data: DataDirectory
    config: Path | None
    host: str
    port: int
    everybody: bool


@command.command(
    "serve",
    epilog="""\b
Examples:
  toka llm serve --config llm.toml
  toka llm serve --open --port 4000
  OPENAI_BASE_URL=http://127.0.0.1:4000/v1 OPENAI_API_KEY=$TOKEN some-program
  ANTHROPIC_BASE_URL=http://127.0.0.1:4000 ANTHROPIC_API_KEY=$TOKEN some-program

\b
A token allows the models that it names, within its budget:
  toka token mint --subject ci --permission 'model:call:house'
  toka token narrow $T --to bob --budget money=500000

\b
  [providers.claude]
  kind = "anthropic"
  key_env = "ANTHROPIC_API_KEY"
  [models.house]
  routes = ["claude/claude-sonnet-5-5", "local/llama3"]
  [providers.local]
  kind = "ollama\"""",
)
@_config_option
@data_dir_option
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=4000,
    show_default=True,
    help="The port to listen on; 0 for any that is free.",
)
@click.option("--open", "everybody", is_flag=True, help="Ask for no token; on this machine only.")
def serve(*, config: Path | None, data_dir: Path, host: str, port: int, everybody: bool) -> int:
    """Serve models in OpenAI's and Anthropic's formats, for capability tokens.

    What tokens have spent is kept in the data directory, and a line for each request.
    """
    from toka.cli._signals import until_stopped  # noqa: PLC0415 - not for --help

    if everybody and host not in _LOOPBACK:
        raise UsageError(
            f"--open would let everybody who reaches {host} spend your money.",
            hint="Leave out --open, and give away tokens.",
        )
    wanted = _Wanted(DataDirectory(data_dir.absolute()), config, host, port, everybody)
    anyio.run(until_stopped, lambda: _serve(wanted))
    return Exit.MET


@command.command(
    "models",
    epilog="\b\nExamples:\n  toka llm models --config llm.toml\n  toka llm models --json",
)
@_config_option
@json_option
def models(*, config: Path | None, as_json: bool) -> int:
    """List the models that would be served, what they cost per million tokens and can take."""
    from toka.llm_gateway import PriceTable  # noqa: PLC0415 - not for --help

    made = _models(config)
    prices = made.prices or PriceTable.built_in()
    rows: list[dict[str, str | float | list[str] | None]] = []
    for name, model in made.models.items():
        price = prices.find(model.provider, model.name)
        limits = prices.limits_of(model.provider, model.name)
        rows.append(
            {
                "name": name,
                "provider": model.provider,
                "model": model.name,
                "input_usd": None if price is None else price.input / 1_000_000,
                "output_usd": None if price is None else price.output / 1_000_000,
                "context_window": limits.context_window,
                "max_output_tokens": limits.max_output_tokens,
                "modalities": None if limits.modalities is None else sorted(limits.modalities),
                "tools": limits.tools,
            }
        )
    for name, embedding in made.embeddings.items():
        rows.append({"name": name, "provider": embedding.provider, "model": embedding.name})
    if as_json:
        click.echo(json.dumps(rows))
        return Exit.MET
    for row in rows:
        cost = "price unknown"
        if row.get("input_usd") is not None:
            cost = f"${row['input_usd']} in, ${row['output_usd']} out"
        if row.get("context_window") is not None:
            cost += f", context {row['context_window']}"
        if row.get("max_output_tokens") is not None:
            cost += f", answer {row['max_output_tokens']}"
        click.echo(f"{row['name']}  {row['provider']}/{row['model']}  {cost}")
    return Exit.MET


def _models(config: Path | None) -> GatewayModels:
    from toka.llm_gateway import (  # noqa: PLC0415 - not for --help
        GatewayModels,
        model_from_environment,
        prices_from_environment,
        read_configuration,
    )

    if config is not None:
        return read_configuration(config.read_text("utf-8"), os.environ)
    model = model_from_environment(os.environ)
    return GatewayModels({model.name: model}, {}, prices_from_environment(os.environ))


async def _serve(wanted: _Wanted) -> None:
    from toka.llm_gateway.server import (  # noqa: PLC0415 - aiohttp
        Gateway,
        JsonLinesAudit,
        ModelCatalog,
        OpenAccess,
        SqliteLedger,
        serve,
    )

    made = _models(wanted.config)
    wanted.data.make()
    async with AsyncExitStack() as stack:
        access: Access = OpenAccess()
        if not wanted.everybody:
            access = await _access(wanted.data, stack)
        gateway = Gateway(
            ModelCatalog(made.models),
            access=access,
            ledger=stack.enter_context(SqliteLedger(wanted.data.path / "llm-spent.db")),
            audit=stack.enter_context(JsonLinesAudit(wanted.data.path / "llm-audit.jsonl")),
            embeddings=made.embeddings,
            prices=made.prices,
        )
        url = await stack.enter_async_context(serve(gateway, host=wanted.host, port=wanted.port))
        click.echo(f"Serving {', '.join(made.models)} on {url}")
        await anyio.sleep_forever()


async def _access(data: DataDirectory, stack: AsyncExitStack) -> Access:
    from toka.cli._authenticator import open_authenticator  # noqa: PLC0415 - not for --open
    from toka.llm_gateway.server import CapabilityAccess  # noqa: PLC0415

    clock = SystemClock()
    keys = data.keys(clock)
    if keys.made:
        click.echo(f"Made a signing key: {keys.path} (mode 0600).", err=True)
    access = await stack.enter_async_context(open_authenticator(data, keys, clock))
    return CapabilityAccess(access.authenticator.authenticate)
