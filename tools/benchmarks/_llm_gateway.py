"""The gateway's server in a process of its own, before a provider whose address is the argument."""

from __future__ import annotations

import asyncio
import sys

from toka.llm_gateway import FallbackModel, OpenAIChatModel
from toka.llm_gateway.guards import GuardedModel, SecretRedactor
from toka.llm_gateway.server import Gateway, ModelCatalog, serve


async def _main(address: str) -> None:
    # What a house would have: a fallback with circuit breaker, and secrets redacted in prompts.
    model = FallbackModel([OpenAIChatModel("m", None, base_url=f"{address}/v1")])
    guarded = GuardedModel(model, prompt=[SecretRedactor()])
    async with serve(Gateway(ModelCatalog({"m": guarded}))) as url:
        print(url.rpartition(":")[2], flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
