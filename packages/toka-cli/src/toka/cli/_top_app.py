"""The screen of `toka top`: runs above, the agents of the chosen run below."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Final, cast

import attrs
from rich.text import Text
from textual.app import App
from textual.widgets import DataTable, Footer, Static

from toka.cli._errors import ServiceRefused, Unreachable
from toka.cli._rows import AgentRow, RunRow  # noqa: TC001 - answers are decoded by them
from toka.cli._show import COLOURS, MARKS, cost, duration, printable
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from toka.cli._client import Client

SHOWN: Final = "100"
"""Runs on the screen: the newest."""


@attrs.frozen
class RunPage:
    """What is needed of a page of runs."""

    runs: tuple[RunRow, ...]


@attrs.frozen
class RunAgents:
    """What is needed of a run."""

    agents: tuple[AgentRow, ...]


@attrs.frozen
class Progress:
    """What is needed of a service's status."""

    current_phase: str
    spawned_agents: int
    error: str | None


class TopApp(App[None]):
    """Looks at a service again and again; what is the same is not sent again."""

    CSS = """
    #head { height: 2; padding: 0 1; }
    #runs { height: 2fr; }
    #agents { height: 1fr; border-top: solid $primary; }
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        ("q", "quit", "Leave"),
        ("p", "pause", "Pause or go on"),
        ("c", "cancel", "Cancel (twice)"),
    ]

    def __init__(self, client: Client, every: float) -> None:
        """Prepare to look.

        Args:
            client: Of the service; it is entered when the screen opens.
            every: Seconds between looks.
        """
        super().__init__()
        self.title = "toka top"
        self._client = client
        self._every = every
        self._runs: dict[str, RunRow] = {}
        self._doomed = ""
        self._failing_since: float | None = None

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        yield Static(id="head")
        yield DataTable[Text](id="runs", cursor_type="row")
        yield DataTable[Text](id="agents", cursor_type="none")
        yield Footer()

    async def on_mount(self) -> None:
        """Open the connection, and begin to look."""
        self._table("runs").add_columns("State", "Run", "Name", "Agents", "Steps", "Cost", "Time")
        self._table("agents").add_columns("State", "Agent", "Steps", "Cost", "Time", "Reason")
        await self._client.__aenter__()
        await self.look()
        self.set_interval(self._every, self.look)

    async def on_unmount(self) -> None:
        """Close the connection."""
        await self._client.__aexit__()

    def _table(self, name: str) -> DataTable[Text]:
        return cast("DataTable[Text]", self.query_one(f"#{name}"))

    async def look(self) -> None:
        """Ask the service, and show what it says; say so if it does not answer."""
        try:
            page = await self._client.poll("/v1/runs", RunPage, limit=SHOWN)
            progress = await self._client.poll("/status", Progress)
            chosen = self._chosen() if self._is_open else None
            run = chosen.run if chosen is not None else page.runs[0].run if page.runs else ""
            agents: tuple[AgentRow, ...] = ()
            if run:
                agents = (await self._client.poll(f"/v1/runs/{run}", RunAgents)).agents
        except (Unreachable, ServiceRefused) as error:
            if self._is_open:
                self._say_failing(error)
            return
        self._failing_since = None
        # The screen may have been closed meanwhile.
        if self._is_open:
            self._show_runs(page.runs)
            self._show_agents(agents)
            self._show_head(progress)

    @property
    def _is_open(self) -> bool:
        return bool(self.query("#agents"))

    def _show_agents(self, agents: Iterable[AgentRow]) -> None:
        table = self._table("agents")
        table.clear()
        for agent in agents:
            took = _took(agent.started, agent.ended)
            spent = cost(agent.spent.amounts)
            facts = (printable(agent.name, 40), str(agent.steps), spent, took)
            table.add_row(_state(agent.state), *map(Text, facts), Text(printable(agent.reason, 80)))

    def _show_runs(self, runs: tuple[RunRow, ...]) -> None:
        table, chosen = self._table("runs"), self._chosen()
        self._runs = {run.run: run for run in runs}
        table.clear()
        for run in runs:
            agents = f"{run.agents_ended}/{run.agents}"
            name = printable(run.name, 32)
            facts = (run.run, name, agents, str(run.steps), cost(run.spent.amounts))
            took = _took(run.began, run.ended)
            table.add_row(_state(run.state), *map(Text, (*facts, took)), key=run.run)
        if chosen is not None and chosen.run in self._runs:
            table.move_cursor(row=table.get_row_index(chosen.run))

    def _chosen(self) -> RunRow | None:
        table = self._table("runs")
        if not table.row_count:
            return None
        key, _ = table.coordinate_to_cell_key(table.cursor_coordinate)
        return self._runs.get(key.value or "")

    def _show_head(self, progress: Progress) -> None:
        runs = self._runs.values()
        going = sum(run.state == "running" for run in runs)
        asked = sum(run.approvals for run in runs)
        line = Text("toka top", style="bold")
        line.append(f"  {self._client.url}  {progress.current_phase}", style="dim")
        line.append(f"\n{going} running of the newest {len(runs)}")
        line.append(f", {progress.spawned_agents:,} agents so far")
        if asked:
            line.append(f", {asked} to answer", style="yellow")
        if progress.error:
            line.append(f"  {printable(progress.error, 120)}", style="red")
        if self._doomed:
            line.append(f"  c again cancels {self._doomed}", style="bold red")
        self.query_one("#head", Static).update(line)

    def _say_failing(self, error: Unreachable | ServiceRefused) -> None:
        now = time.monotonic()
        self._failing_since = now if self._failing_since is None else self._failing_since
        seconds = now - self._failing_since
        text = Text(f"What is below is {seconds:.0f} s old; trying again.\n", style="dim")
        text.append(printable(error.message, 160), style="red")
        self.query_one("#head", Static).update(text)

    async def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Forget that a run was to be cancelled when another one is chosen."""
        if event.row_key.value != self._doomed:
            self._doomed = ""

    async def action_pause(self) -> None:
        """Pause the chosen run, or let it go on."""
        run = self._chosen()
        if run is not None and run.state in ("running", "paused"):
            await self._steer(run, "resume" if run.state == "paused" else "pause")

    async def action_cancel(self) -> None:
        """Cancel the chosen run when asked for the second time."""
        run = self._chosen()
        if run is None or run.ended is not None:
            return
        if self._doomed != run.run:
            self._doomed = run.run
        else:
            self._doomed = ""
            await self._steer(run, "cancel")
        await self.look()

    async def _steer(self, run: RunRow, verb: str) -> None:
        try:
            await self._client.post(f"/v1/runs/{run.run}/{verb}", dict[str, object], {})
        except (Unreachable, ServiceRefused) as error:
            self.notify(printable(error.message), severity="error")
        await self.look()


def _state(state: str) -> Text:
    return Text(f"{MARKS.get(state, ' ')} {state}", style=COLOURS.get(state, "dim"))


def _took(began: str | None, ended: str | None) -> str:
    if began is None:
        return ""
    until = time.time() if ended is None else _seconds(ended)
    return duration(int((until - _seconds(began)) * NANOSECONDS))


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
