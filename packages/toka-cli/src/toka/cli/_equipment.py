"""What runs of this process work with, where no service holds them to `service.toml`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from toka.cli._host import workspace_of
from toka.cli._service_config import ServiceConfig, read_service_config
from toka.cli._toolbox import Toolbox, make_toolbox

if TYPE_CHECKING:
    from pathlib import Path

    from toka.cli._data_directory import DataDirectory
    from toka.cli._host import Host


@attrs.frozen
class Equipment:
    """The tools and the model of a configuration; nothing else of it holds."""

    config: ServiceConfig
    toolbox: Toolbox

    async def give(self, host: Host) -> None:
        """Let the agents of a host have it.

        Raises:
            ServiceConfigUnusable: A model cannot be used as it is described.
        """
        model = self.config.make_model()
        await host.take(self.toolbox)
        if model is not None:
            await host.models.change(model)


def read_equipment(data: DataDirectory, config: Path | None) -> Equipment:
    """Read `service.toml` of a data directory, or the file that is named instead of it.

    Raises:
        ServiceConfigUnusable: It cannot be read, is wrong, or others may write it.
    """
    read = read_service_config(config or data.service_config, needed=config is not None)
    return Equipment(read, make_toolbox(read.tools, workspace_of(data)))
