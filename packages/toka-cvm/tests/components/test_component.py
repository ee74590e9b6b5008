"""Components: typed calls, host calls by grant, and the bounds that core modules have."""

import threading
from contextlib import suppress

import anyio
import pytest

from toka.capability.core import Denial, PermissionSet
from toka.cvm import (
    Authority,
    AuthorityLostError,
    DeadlineError,
    GuestCallError,
    GuestEndedError,
    GuestTrapError,
    ImportRefusedError,
    InvalidModuleError,
    Limits,
    Machine,
    MemoryKeyValue,
    ModuleCache,
    ModuleLimits,
    ModuleTooLargeError,
    OutOfFuelError,
    QuotaError,
    Services,
    text_to_binary,
)

# Memory and an allocator that never frees, which every component below is built on.
LIBC = """
  (core module $libc
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
        (then (if (i32.lt_s (memory.grow (i32.add (i32.div_u (local.get 3) (i32.const 65536))
          (i32.const 1))) (i32.const 0)) (then (unreachable)))))
      (local.get $at)))
  (core instance $libc (instantiate $libc))"""
LOWERED = '(memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))'


def lowered(*names):
    """Lower functions of the instance $host, and return the text of a core instance of them."""
    lines = [
        f'(core func $l{at} (canon lower (func $host "{name}") {LOWERED}))'
        for at, name in enumerate(names)
    ]
    exports = " ".join(f'(export "{name}" (func $l{at}))' for at, name in enumerate(names))
    return "\n".join(lines) + f"(core instance $imports {exports})"


def component(body, imports="", lifts="", names=()):
    return f"""(component {imports} {LIBC}
      {lowered(*names) if names else "(core instance $imports)"}
      (core module $m (import "libc" "memory" (memory 1)) {body})
      (core instance $i (instantiate $m (with "libc" (instance $libc))
        (with "host" (instance $imports))))
      {lifts})"""


def lift(name, kind, options=""):
    return f'(func (export "{name}") {kind} (canon lift (core func $i "{name}") {options}))'


ADD = component(
    """(func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "loop") (loop $l (br $l)))
    (func (export "trap") (unreachable))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func $down (export "down") (call $down))""",
    lifts=lift("add", '(param "a" u32) (param "b" u32) (result u32)')
    + lift("loop", "")
    + lift("trap", "")
    + lift("down", "")
    + lift("grow", '(param "pages" u32) (result s32)'),
)


@pytest.fixture
def made(machine):
    guests = []

    def make(text, *permissions, on=machine, **options):
        authority = options.pop("authority", None) or Authority.parse(*permissions)
        compiled = on.compile_component(text_to_binary(text))
        guests.append(on.instantiate_component(compiled, authority, **options))
        return guests[-1]

    yield make
    for one in guests:
        one.close()


def test_an_export_takes_and_gives_numbers(made):
    guest = made(ADD)
    assert guest.call("add", 2, 3) == 5
    assert guest.call("add", 4_294_967_295, 2) == 1
    assert guest.fuel_used > 0


@pytest.mark.parametrize("arguments", [(1,), (1, 2, 3), (1, -1), (1, 1 << 32), (1, "2"), (1, True)])
def test_arguments_that_do_not_fit_do_not_reach_the_guest(made, arguments):
    guest = made(ADD)
    with pytest.raises(GuestCallError):
        guest.call("add", *arguments)
    assert guest.call("add", 1, 1) == 2


def test_an_export_that_is_not_there_is_named(made):
    with pytest.raises(GuestCallError, match="add"):
        made(ADD).call("subtract")


def test_what_ends_a_component_has_the_errors_of_modules(made):
    with pytest.raises(OutOfFuelError):
        made(ADD).call("loop", fuel=10_000)
    guest = made(ADD)
    with pytest.raises(GuestTrapError) as trapped:
        guest.call("trap")
    assert trapped.value.trap == "unreachable"
    with pytest.raises(GuestEndedError, match="over"):
        guest.call("add", 1, 1)
    with pytest.raises(GuestTrapError) as trapped:
        made(ADD).call("down")
    assert trapped.value.trap == "stack_overflow"


def test_a_deadline_ends_a_component_that_computes(made):
    with pytest.raises(DeadlineError):
        made(ADD).call("loop", fuel=1 << 60, deadline_seconds=0.05)


def test_memory_is_bounded_over_all_memories(made):
    limits = Limits(memory_bytes=4 << 16)
    assert made(ADD, limits=limits).call("grow", 3) == 1
    assert made(ADD, limits=limits).call("grow", 4) == -1
    two = """(component
      (core module $m (memory (export "memory") 1)
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))
      (core instance $a (instantiate $m)) (core instance $b (instantiate $m))
      (func (export "a") (param "n" u32) (result s32) (canon lift (core func $a "grow")))
      (func (export "b") (param "n" u32) (result s32) (canon lift (core func $b "grow"))))"""
    with pytest.raises(GuestEndedError):
        made(two, limits=limits)
    shared = Limits(memory_bytes=4 << 16, memories=2)
    guest = made(two, limits=shared)
    assert [guest.call(one, 1) for one in "ab"] == [1, 1]
    assert [guest.call(one, 1) for one in "ab"] == [-1, -1]


def test_tables_and_instances_are_bounded(made):
    table = "(component (core module $m (table 10 funcref)) (core instance (instantiate $m)))"
    made(table)
    with pytest.raises(GuestEndedError):
        made(table, limits=Limits(table_elements=9))
    many = f"(component (core module $m) {'(core instance (instantiate $m))' * 5})"
    made(many)
    with pytest.raises(GuestEndedError):
        made(many, limits=Limits(instances=4))


HOST = """(import "toka:host/calls@0.1.0" (instance $host
    (export "input" (func (param "size" u32) (result (list u8))))
    (export "output" (func (param "data" (list u8))))
    (type $enum (enum "denied" "invalid" "failed"))
    (export "failure" (type $failure (eq $enum)))
    (export "kv-get" (func (param "key" string)
      (result (result (option (list u8)) (error $failure)))))))"""
NAMES = ("input", "output", "kv-get")
CALLS = component(
    """(import "host" "input" (func $input (param i32 i32)))
    (import "host" "output" (func $output (param i32 i32)))
    (import "host" "kv-get" (func $get (param i32 i32 i32)))
    (data (i32.const 100) "key")
    (func (export "echo")
      (call $input (i32.const 1000) (i32.const 16))
      (call $output (i32.load (i32.const 16)) (i32.load (i32.const 20))))
    (func (export "flood") (param i32) (call $output (i32.const 0) (local.get 0)))
    (func (export "get") (result i32)
      (call $get (i32.const 100) (i32.const 3) (i32.const 32))
      ;; 1xx: an error; 20x: whether there is a value; its first byte where there is.
      (if (i32.load8_u (i32.const 32))
        (then (return (i32.add (i32.const 100) (i32.load8_u (i32.const 36))))))
      (if (i32.eqz (i32.load8_u (i32.const 36))) (then (return (i32.const 200))))
      (i32.load8_u (i32.load (i32.const 40))))""",
    imports=HOST,
    names=NAMES,
    lifts=lift("echo", "") + lift("get", "(result u32)") + lift("flood", '(param "size" u32)'),
)
READ = "kv:read:key"


def test_host_calls_have_types_and_grants(made):
    store = MemoryKeyValue()
    services = Services(key_value=store)
    guest = made(CALLS, READ, services=services)
    assert guest.run(data=b"hello", export="echo").output == b"hello"
    assert guest.call("get") == 200
    store.put("key", b"A")
    assert guest.call("get") == 65
    other = made(CALLS, "kv:read:other", services=services)
    assert other.call("get") == 100
    assert other.denied == ("kv:read:key",)


def test_what_is_not_granted_is_not_linked(machine):
    compiled = machine.compile_component(text_to_binary(CALLS))
    assert "toka:host/calls@0.1.0#kv-get" in compiled.imports
    services = Services(key_value=MemoryKeyValue())
    with pytest.raises(ImportRefusedError, match="not granted") as refused:
        machine.instantiate_component(compiled, services=services)
    assert refused.value.details["missing"] == ["kv:read:**"]
    with pytest.raises(ImportRefusedError, match="no service"):
        machine.instantiate_component(compiled, Authority.parse(READ))


@pytest.mark.parametrize(
    "imported",
    [
        '(import "toka:host/calls@0.1.0" (instance (export "other" (func))))',
        '(import "toka:host/calls@0.1.0" (instance (export "output" (func (param "d" string)))))',
        '(import "toka:host/calls@0.2.0" (instance (export "clock" (func (result u64)))))',
        '(import "toka:host/calls@0.1.0" (instance (export "thing" (type (sub resource)))))',
        '(import "wasi:sockets/tcp@0.2.0" (instance (export "connect" (func))))',
        '(import "alone" (func))',
        '(import "module" (core module))',
    ],
)
def test_what_the_host_has_not_got_is_refused_and_named(machine, imported):
    compiled = machine.compile_component(text_to_binary(f"(component {imported})"))
    with pytest.raises(ImportRefusedError):
        machine.instantiate_component(compiled, Authority.parse(READ))


def test_a_capability_that_is_lost_ends_the_component_at_its_next_call(made):
    asked = []

    def lost():
        asked.append(1)
        return Denial("capability.revoked", "it was taken back") if len(asked) > 2 else None

    services = Services(key_value=MemoryKeyValue())
    guest = made(CALLS, authority=Authority(PermissionSet.parse([READ]), lost), services=services)
    assert [guest.call("get"), guest.call("get")] == [200, 200]
    with pytest.raises(AuthorityLostError):
        guest.call("get")


def test_quotas_hold_for_what_a_component_hands_over(made):
    services = Services(key_value=MemoryKeyValue())
    with pytest.raises(QuotaError):
        made(CALLS, READ, services=services, limits=Limits(output_bytes=1_000)).call("flood", 1_001)
    with pytest.raises(QuotaError):
        made(CALLS, READ, services=services, limits=Limits(transfer_bytes=1_000)).call(
            "flood", 1_001
        )
    with pytest.raises(OutOfFuelError):
        made(CALLS, READ, services=services).call("flood", 60_000, fuel=50_000)
    guest = made(CALLS, READ, services=services, limits=Limits(host_calls=2))
    assert [guest.call("get"), guest.call("get")] == [200, 200]
    with pytest.raises(QuotaError):
        guest.call("get")
    with pytest.raises(GuestTrapError):
        made(CALLS, READ, services=services).call("flood", 1 << 31)


def test_the_same_component_seed_and_input_give_the_same(deterministic):
    text = component(
        """(import "host" "random" (func $random (param i32 i32)))
        (import "host" "clock" (func $clock (result i64)))
        (import "host" "output" (func $output (param i32 i32)))
        (func (export "go")
          (call $random (i32.const 16) (i32.const 8))
          (call $output (i32.load (i32.const 8)) (i32.load (i32.const 12)))
          (i64.store (i32.const 16) (call $clock))
          (call $output (i32.const 16) (i32.const 8)))""",
        imports="""(import "toka:host/calls@0.1.0" (instance $host
          (export "random" (func (param "size" u32) (result (list u8))))
          (export "clock" (func (result u64)))
          (export "output" (func (param "data" (list u8))))))""",
        names=("random", "clock", "output"),
        lifts=lift("go", ""),
    )
    compiled = deterministic.compile_component(text_to_binary(text))
    authority = Authority.parse("random:read:bytes", "clock:read:time")
    outcomes = []
    for seed in (b"a", b"a", b"b"):
        with deterministic.instantiate_component(compiled, authority, seed=seed) as guest:
            outcomes.append(guest.run(export="go"))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0].output != outcomes[2].output
    assert len(outcomes[0].output) == 24


def test_two_threads_get_each_their_own_ending(machine):
    compiled = machine.compile_component(text_to_binary(CALLS))
    services = Services(key_value=MemoryKeyValue())
    endings = {"quota": set(), "lost": set()}

    def lost():
        return Denial("capability.revoked", "it was taken back")

    def run(name, authority, limits):
        for _ in range(30):
            with machine.instantiate_component(
                compiled, authority, services=services, limits=limits
            ) as guest:
                try:
                    guest.call("flood", 5_000)
                except GuestEndedError as ended:
                    endings[name].add(type(ended))

    quota = (Authority.parse(READ), Limits(output_bytes=100))
    revoked = (Authority(PermissionSet.parse([READ]), lost), Limits())
    threads = [
        threading.Thread(target=run, args=("quota", *quota)),
        threading.Thread(target=run, args=("lost", *revoked)),
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert endings == {"quota": {QuotaError}, "lost": {AuthorityLostError}}


@pytest.mark.anyio
async def test_cancelling_ends_a_component(made):
    guest = made(ADD)
    assert await guest.acall("add", 1, 2) == 3
    with anyio.move_on_after(0.1) as scope:
        await guest.acall("loop", fuel=1 << 60, deadline_seconds=600)
    assert scope.cancelled_caught
    assert guest.ended


@pytest.mark.anyio
async def test_a_program_runs_on_a_thread(made):
    services = Services(key_value=MemoryKeyValue())
    guest = made(CALLS, READ, services=services)
    assert (await guest.arun(data=b"hello", export="echo")).output == b"hello"
    with pytest.raises(GuestCallError, match="no program"):
        await guest.arun()


# --- Values ---


# Exports that give back what they are given: the flat parameters of each type are written to memory
# as its result is laid out (Canonical ABI).
def echoing(kind, flat, stores, declared=""):
    body = f"""(func (export "echo") (param {flat}) (result i32) {stores} (i32.const 8))"""
    return component(
        body,
        imports=declared,
        lifts=lift("echo", f'(param "value" {kind}) (result {kind})', LOWERED),
    )


def store(*places):
    """Store parameters: (kind of store, offset) each."""
    return " ".join(
        f"({kind} offset={offset} (i32.const 8) (local.get {at}))"
        for at, (kind, offset) in enumerate(places)
    )


PAIR = store(("i32.store", 0), ("i32.store", 4))
CASES = [
    ("string", "i32 i32", PAIR, ["", "hello", "grüße", "\0", "𝄞"]),
    ("(list u8)", "i32 i32", PAIR, [b"", b"\0\xff", bytes(range(256)) * 100]),
    ("(list string)", "i32 i32", PAIR, [[], ["a", "", "ccc"]]),
    ("(list (tuple u32 string))", "i32 i32", PAIR, [[(1, "a"), (4_294_967_295, "")]]),
    ("(list bool)", "i32 i32", PAIR, [[True, False]]),
    ("(list char)", "i32 i32", PAIR, [["a", "𝄞"]]),
    ("(list s16)", "i32 i32", PAIR, [[-32_768, 32_767]]),
    ("(list f64)", "i32 i32", PAIR, [[0.5, -1e300]]),
    ("(list (option u64))", "i32 i32", PAIR, [[None, 1 << 63]]),
    ("(list (list (list u8)))", "i32 i32", PAIR, [[[b"a"], []]]),
    (
        "(option string)",
        "i32 i32 i32",
        store(("i32.store8", 0), ("i32.store", 4), ("i32.store", 8)),
        [None, "", "text"],
    ),
    (
        "(result u32 (error string))",
        "i32 i32 i32",
        store(("i32.store8", 0), ("i32.store", 4), ("i32.store", 8)),
        [("ok", 7), ("err", "why")],
    ),
    (
        "(tuple u8 s64)",
        "i32 i64",
        store(("i32.store8", 0), ("i64.store", 8)),
        [(255, -(1 << 63))],
    ),
]


@pytest.mark.parametrize(("kind", "flat", "stores", "values"), CASES, ids=[c[0] for c in CASES])
def test_values_come_back_as_they_went(made, kind, flat, stores, values):
    guest = made(echoing(kind, flat, stores))
    for value in values:
        assert guest.call("echo", value) == value


NAMED = """
    (type $colour' (enum "red" "green")) (import "colour" (type $colour (eq $colour')))
    (type $set' (flags "read" "write" "run")) (import "set" (type $set (eq $set')))
    (type $person' (record (field "name" string) (field "colour" $colour)))
    (import "person" (type $person (eq $person')))
    (type $shape' (variant (case "none") (case "round" f32) (case "of" $person)))
    (import "shape" (type $shape (eq $shape')))"""


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("$colour", [["red", "green"]]),
        ("$set", [[frozenset(), frozenset({"read", "run"})]]),
        ("$person", [[{"name": "Ada", "colour": "red"}]]),
        ("$shape", [[("none", None), ("round", 0.5), ("of", {"name": "", "colour": "green"})]]),
    ],
)
def test_named_types_come_back_as_they_went(made, kind, values):
    guest = made(echoing(f"(list {kind})", "i32 i32", PAIR, NAMED))
    for value in values:
        assert guest.call("echo", value) == value


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("string", [b"bytes", 1, None, "\ud800"]),
        ("(list u8)", ["text", 1, [256], [None], {1: 2}]),
        ("(list string)", ["text", ["a", 1], ["a", "b", None]]),
        ("(list (tuple u32 string))", [[(1,)], [(1, "a", 2)], [[1, "a"]], [("a", 1)]]),
        ("(list bool)", [[1]]),
        ("(list char)", [["ab"], [""]]),
        ("(list f64)", [[1]]),
        ("(list $colour)", [["blue"], [1], [None]]),
        ("(list $set)", [[{"read", "fly"}], [["read"]]]),
        (
            "(list $person)",
            [[{}], [{"name": "a"}], [{"name": "a", "colour": "red", "more": 1}], [1]],
        ),
        ("(list $shape)", [["none"], [("square", 1)], [("round", "x")], [("of", {"name": "a"})]]),
    ],
)
def test_values_of_another_type_are_the_callers_fault(made, kind, wrong):
    guest = made(echoing(kind, "i32 i32", PAIR, NAMED))
    for value in wrong:
        with pytest.raises(GuestCallError):
            guest.call("echo", value)


POINTER = "(i32.store offset=0 (i32.const 8) (i32.const %s)) "
LENGTH = "(i32.store offset=4 (i32.const 8) (i32.const 1))"


@pytest.mark.parametrize(
    "stores",
    [
        POINTER % "-1" + LENGTH,
        "(i32.store8 (i32.const 90) (i32.const 255))" + POINTER % "90" + LENGTH,
    ],
)
def test_a_value_that_a_guest_makes_up_is_a_trap(made, stores):
    with pytest.raises(GuestTrapError):
        made(echoing("string", "i32 i32", stores)).call("echo", "x")


def test_large_lists_do_not_cost_the_host_more_than_they_may(made):
    guest = made(echoing("(list u8)", "i32 i32", PAIR), limits=Limits(transfer_bytes=1 << 20))
    assert guest.call("echo", bytes(1 << 20)) == bytes(1 << 20)
    with pytest.raises(QuotaError):
        guest.call("echo", bytes((1 << 20) + 1))


# --- What is refused before it is compiled ---


@pytest.mark.parametrize("text", [ADD, CALLS])
def test_a_component_cut_short_is_refused(machine, text):
    wasm = text_to_binary(text)
    taken = 0
    for size in range(len(wasm)):
        with suppress(InvalidModuleError):
            machine.compile_component(wasm[:size])
            taken += 1
    assert taken < 40  # Between two sections is the end of a whole component.


def test_modules_and_components_are_not_taken_for_each_other(machine):
    with pytest.raises(InvalidModuleError, match="component") as refused:
        machine.compile(text_to_binary(ADD))
    assert "compile_component" in refused.value.hint
    with pytest.raises(InvalidModuleError, match="core module"):
        machine.compile_component(text_to_binary("(module)"))


def test_counts_hold_for_what_is_inside():
    tight = Machine(ModuleLimits(modules=3))
    inside = "(core module)"
    tight.compile_component(text_to_binary(f"(component {inside * 2})"))
    with pytest.raises(ModuleTooLargeError, match="modules"):
        tight.compile_component(text_to_binary(f"(component {inside * 3})"))
    deep = "(component)"
    for _ in range(6):
        deep = f"(component {deep})"
    with pytest.raises(ModuleTooLargeError, match="levels"):
        Machine().compile_component(text_to_binary(deep))
    functions = f"(component (core module {'(func)' * 6}))"
    with pytest.raises(ModuleTooLargeError, match="functions"):
        Machine(ModuleLimits(functions=5)).compile_component(text_to_binary(functions))
    types = f"(component {'(type (list u8))' * 100})"
    with pytest.raises(ModuleTooLargeError, match="adapters"):
        Machine(ModuleLimits(glue_bytes=100)).compile_component(text_to_binary(types))


def doubled(times):
    """A type that has twice as many parts each time it is named."""
    lines = ["(type $t0 u8)"]
    lines += [f"(type $t{at + 1} (tuple $t{at} $t{at}))" for at in range(times)]
    return " ".join(lines), f"$t{times}"


@pytest.mark.parametrize("times", [12, 17])
def test_few_bytes_that_say_many_parts_are_refused(times):
    lines, name = doubled(times)
    text = f"""(component {lines}
      (import "toka:host/calls@0.1.0" (instance (alias outer 1 {name} (type $t))
        (export "output" (func (param "data" $t))))))"""
    wasm = text_to_binary(text)
    assert len(wasm) < 1_000
    with pytest.raises(ModuleTooLargeError, match="parts"):
        Machine(ModuleLimits(type_parts=4_000)).compile_component(wasm)


def test_a_type_that_is_too_deep_is_of_no_function_here(machine):
    lines = "(type $t0 u8) " + " ".join(f"(type $t{at + 1} (list $t{at}))" for at in range(60))
    text = f"""(component {lines}
      (import "toka:host/calls@0.1.0" (instance (alias outer 1 $t60 (type $t))
        (export "output" (func (param "data" $t))))))"""
    compiled = machine.compile_component(text_to_binary(text))
    with pytest.raises(ImportRefusedError, match="another signature"):
        machine.instantiate_component(compiled)


def test_large_components_are_compiled_in_a_child_and_kept(tmp_path):
    cache = ModuleCache(tmp_path / "cache")
    for _ in range(2):
        machine = Machine(ModuleLimits(here_bytes=0), cache=cache)
        with machine.instantiate_component(machine.compile_component(text_to_binary(ADD))) as guest:
            assert guest.call("add", 1, 2) == 3
    assert len(list((tmp_path / "cache").iterdir())) == 1
