"""WebAssembly guests beside wasmtime's own Python classes, with the same engine switches."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from toka.cvm import (
    Authority,
    GuestPool,
    Machine,
    MemoryKeyValue,
    Services,
    text_to_binary,
)
from workshop.measure import Measure, NotInstalled, at_most

if TYPE_CHECKING:
    from collections.abc import Callable

    import wasmtime

    from workshop.measure import Subject

CALLS, GUESTS = 5_000, 500
NOOP = text_to_binary('(module (memory (export "memory") 1) (func (export "noop")))')
HOST = text_to_binary("""(module
  (import "toka" "kv_get" (func $get (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "key")
  (func (export "get") (drop (call $get (i32.const 0) (i32.const 3)))))""")

ECHO = text_to_binary("""(component
  (core module $m (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func (export "echo") (param i32 i32) (result i32)
      (i32.store (i32.const 8) (local.get 0)) (i32.store (i32.const 12) (local.get 1))
      (i32.const 8)))
  (core instance $i (instantiate $m))
  (func (export "echo") (param "text" string) (result string) (canon lift (core func $i "echo")
    (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))""")


def microseconds(work: Callable[[], object], times: int) -> float:
    """Return the time that one of many takes."""
    began = time.perf_counter_ns()
    for _ in range(times):
        work()
    return (time.perf_counter_ns() - began) / times / 1000


def warm_call() -> Subject:
    """Call an export that does nothing, of a guest that was called before."""
    machine = Machine()
    guest = machine.instantiate(machine.compile(NOOP))
    return lambda: microseconds(lambda: guest.call("noop"), CALLS)


def instantiate() -> Subject:
    """Make a guest of a compiled module, and give it back."""
    machine = Machine()
    module = machine.compile(NOOP)
    return lambda: microseconds(lambda: machine.instantiate(module).close(), GUESTS)


def host_call() -> Subject:
    """Call an export that looks a key up: one host call, counted, charged and allowed."""
    machine, services = Machine(), Services(key_value=MemoryKeyValue())
    guest = machine.instantiate(
        machine.compile(HOST), Authority.parse("kv:read:**"), services=services
    )
    return lambda: microseconds(lambda: guest.call("get"), CALLS)


def pooled_call() -> Subject:
    """Call an export of a guest that waits in a pool, until the answer; the refill is not timed."""
    machine = Machine()
    module = machine.compile(NOOP)
    pool = GuestPool(lambda: machine.instantiate(module))

    def run() -> float:
        spent = 0
        for _ in range(GUESTS):
            began = time.perf_counter_ns()
            with pool.guest() as guest:
                guest.call("noop")
                spent += time.perf_counter_ns() - began
        return spent / GUESTS / 1000

    return run


def fresh_call() -> Subject:
    """Call an export of a guest of its own through the pool, the refill included."""
    machine = Machine()
    module = machine.compile(NOOP)
    pool = GuestPool(lambda: machine.instantiate(module))

    def call() -> None:
        with pool.guest() as guest:
            guest.call("noop")

    return lambda: microseconds(call, GUESTS)


def component_call() -> Subject:
    """Call an export of a component that takes a text and gives it back."""
    machine = Machine()
    guest = machine.instantiate_component(machine.compile_component(ECHO))
    return lambda: microseconds(lambda: guest.call("echo", "hello"), CALLS)


def make_component() -> Subject:
    """Make a guest of a compiled component, and give it back."""
    machine = Machine()
    component = machine.compile_component(ECHO)
    return lambda: microseconds(lambda: machine.instantiate_component(component).close(), GUESTS)


def bare_engine() -> wasmtime.Engine:
    """Make an engine with fuel and epochs, as a host that bounds its guests has it."""
    import wasmtime  # noqa: PLC0415 - a peer, though ours stands on it

    config = wasmtime.Config()
    config.consume_fuel = True
    config.epoch_interruption = True
    return wasmtime.Engine(config)


def bare_store(engine: wasmtime.Engine) -> wasmtime.Store:
    """Make a store with limits, fuel and a deadline."""
    import wasmtime  # noqa: PLC0415 - a peer, though ours stands on it

    store = wasmtime.Store(engine)
    store.set_limits(memory_size=64 << 20, instances=1, memories=1)
    store.set_fuel(1_000_000_000)
    store.set_epoch_deadline(1_000)
    return store


def bare_warm_call() -> Subject:
    """The same with wasmtime's classes: fuel and a deadline are set for each call, as ours are."""
    import wasmtime  # noqa: PLC0415 - a peer, though ours stands on it

    engine = bare_engine()
    store = bare_store(engine)
    instance = wasmtime.Instance(store, wasmtime.Module(engine, NOOP), [])
    noop = instance.exports(store)["noop"]
    if not isinstance(noop, wasmtime.Func):
        raise NotInstalled("a wasmtime whose exports are functions")

    def call() -> None:
        store.set_fuel(1_000_000_000)
        store.set_epoch_deadline(1_000)
        noop(store)

    return lambda: microseconds(call, CALLS)


def bare_instantiate() -> Subject:
    """The same with wasmtime's classes: a store with its limits, and an instance."""
    import wasmtime  # noqa: PLC0415 - a peer, though ours stands on it

    engine = bare_engine()
    module, linker = wasmtime.Module(engine, NOOP), wasmtime.Linker(engine)

    def make() -> None:
        store = bare_store(engine)
        linker.instantiate(store, module)
        store.close()

    return lambda: microseconds(make, GUESTS)


def bare_fresh_call() -> Subject:
    """The same with wasmtime's classes: a store, an instance and one call."""
    import wasmtime  # noqa: PLC0415 - a peer, though ours stands on it

    engine = bare_engine()
    module, linker = wasmtime.Module(engine, NOOP), wasmtime.Linker(engine)

    def call() -> None:
        store = bare_store(engine)
        noop = linker.instantiate(store, module).exports(store)["noop"]
        if not isinstance(noop, wasmtime.Func):
            raise NotInstalled("a wasmtime whose exports are functions")
        noop(store)
        store.close()

    return lambda: microseconds(call, GUESTS)


def bare_component(call: bool) -> Subject:
    """The same with wasmtime's classes for components."""
    import wasmtime.component as wit  # noqa: PLC0415 - a peer, though ours stands on it

    engine = bare_engine()
    component, linker = wit.Component(engine, ECHO), wit.Linker(engine)

    def make() -> None:
        store = bare_store(engine)
        linker.instantiate(store, component)
        store.close()

    if not call:
        return lambda: microseconds(make, GUESTS)
    store = bare_store(engine)
    echo = linker.instantiate(store, component).get_func(store, "echo")
    if echo is None:
        raise NotInstalled("a wasmtime whose components export functions")

    def ask() -> None:
        store.set_fuel(1_000_000_000)
        store.set_epoch_deadline(1_000)
        echo(store, "hello")
        echo.post_return(store)

    return lambda: microseconds(ask, CALLS)


def measures() -> list[Measure]:
    """Return what this suite measures."""
    return [
        Measure(
            "warm call of a no-op export",
            "us",
            {"ours": warm_call(), "wasmtime": bare_warm_call()},
            [at_most(1.5, times="wasmtime")],
        ),
        Measure(
            "cold instantiate",
            "us",
            {"ours": instantiate(), "wasmtime": bare_instantiate()},
            [at_most(1.5, times="wasmtime")],
        ),
        Measure(
            "call of a guest that waits in a pool",
            "us",
            {"ours": pooled_call(), "wasmtime": bare_warm_call()},
        ),
        Measure(
            "call of a fresh guest, through the pool",
            "us",
            {"ours": fresh_call(), "wasmtime": bare_fresh_call()},
            [at_most(1.5, times="wasmtime")],
        ),
        Measure(
            "call of a component with text",
            "us",
            {"ours": component_call(), "wasmtime": bare_component(call=True)},
        ),
        Measure(
            "cold instantiate of a component",
            "us",
            {"ours": make_component(), "wasmtime": bare_component(call=False)},
        ),
        Measure("call with one host call", "us", {"ours": host_call()}),
    ]
