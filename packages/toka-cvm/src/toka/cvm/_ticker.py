"""Ticks an engine's epoch while guests run, so that each can be asked whether it goes on."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final
from weakref import ref

if TYPE_CHECKING:
    import wasmtime

TICK_SECONDS: Final = 0.01
_IDLE_TICKS: Final = 100


class Ticker:
    """A thread that lives while guests run, and a second longer.

    The epoch is one for the engine, so a tick says nothing but "look": each store asks its own
    session for its own deadline, and one guest's end is never another's.
    """

    def __init__(self, engine: wasmtime.Engine) -> None:
        self._engine = ref(engine)
        self._lock = threading.Lock()
        self._running = 0
        self._thread: threading.Thread | None = None

    def __enter__(self) -> None:
        with self._lock:
            self._running += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._tick, name="toka-cvm", daemon=True)
                self._thread.start()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._running -= 1

    def _tick(self) -> None:
        idle = 0
        while True:
            time.sleep(TICK_SECONDS)
            engine = self._engine()
            if engine is not None:
                engine.increment_epoch()
            with self._lock:
                idle = 0 if self._running else idle + 1
                if engine is None or idle > _IDLE_TICKS:
                    self._thread = None
                    return
            del engine
