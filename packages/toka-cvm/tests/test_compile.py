"""What compiling may cost: counts before the compiler, a child process that can be killed."""

import os
import resource

import pytest

from toka.cvm import (
    CacheError,
    CompileBudgetError,
    InvalidModuleError,
    Machine,
    ModuleCache,
    ModuleLimits,
    ModuleTooLargeError,
    text_to_binary,
)

ANSWER = text_to_binary('(module (func (export "answer") (result i32) i32.const 42))')
CHILD = ModuleLimits(here_bytes=0)


def leb(value):
    data = bytearray()
    while True:
        byte, value = value & 0x7F, value >> 7
        data.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(data)


def section(kind, count, contents):
    data = leb(count) + contents
    return bytes([kind]) + leb(len(data)) + data


def module_of(functions):
    """Build a module of functions without parameters from their bodies."""
    bodies = b"".join(leb(len(body)) + body for body in functions)
    return (
        b"\0asm\1\0\0\0"
        + section(1, 1, b"\x60\0\0")
        + section(3, len(functions), bytes(len(functions)))
        + section(10, len(functions), bodies)
    )


def nested(depth):
    return module_of([b"\0" + b"\x02\x40" * depth + b"\x0b" * depth + b"\x0b"])


BOMBS = {
    "many functions": (module_of([b"\0\x0b"] * 20_000), ModuleLimits(functions=10_000)),
    "a function of ifs": (
        module_of([b"\0" + b"\x41\0\x04\x40\x0b" * 60_000 + b"\x0b"]),
        ModuleLimits(compile_seconds=0.3),
    ),
    "locals of one function": (module_of([b"\1" + leb(49_000) + b"\x7f\x0b"] * 40), None),
    "locals of all": (
        module_of([b"\1" + leb(9_000) + b"\x7f\x0b"] * 200),
        ModuleLimits(locals=1_000_000),
    ),
    "memory of the compiler": (
        module_of([b"\0" + b"\x41\0\x04\x40\x0b" * 60_000 + b"\x0b"]),
        ModuleLimits(compile_memory_bytes=256 << 20),
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_attack_6_a_bomb_for_the_compiler_is_refused_in_bounded_memory(name):
    bomb, limits = BOMBS[name]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises((ModuleTooLargeError, CompileBudgetError)):
        Machine(limits).compile(bomb)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def test_attack_6_deeply_nested_blocks_leave_this_process_as_it_was():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    module = Machine(CHILD).compile(nested(20_000))
    assert module.imports == ()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def test_a_child_compiles_what_this_process_would():
    guest = (machine := Machine(CHILD)).instantiate(machine.compile(ANSWER))
    assert guest.call("answer") == (42,)


def test_what_the_child_refuses_is_said_as_here():
    wrong = module_of([b"\0\x6a\x0b"])  # i32.add on nothing
    with pytest.raises(InvalidModuleError, match="refused"):
        Machine(CHILD).compile(wrong)
    with pytest.raises(InvalidModuleError, match="refused"):
        Machine().compile(wrong)


def test_a_module_over_its_size_is_refused_before_it_is_read():
    with pytest.raises(ModuleTooLargeError, match="bytes"):
        Machine(ModuleLimits(module_bytes=10)).compile(ANSWER)


@pytest.fixture
def cache(tmp_path):
    return ModuleCache(tmp_path / "cache")


def files(folder):
    return [one for one in folder.iterdir() if not one.name.startswith(".")]


def test_the_second_time_a_module_comes_from_the_cache(cache, tmp_path, monkeypatch):
    Machine(CHILD, cache=cache).compile(ANSWER)
    assert len(files(tmp_path / "cache")) == 1
    monkeypatch.setattr("subprocess.run", None)  # no child any more
    machine = Machine(CHILD, cache=cache)
    assert machine.instantiate(machine.compile(ANSWER)).call("answer") == (42,)


def test_other_settings_have_other_machine_code(cache, tmp_path):
    for deterministic in (False, True):
        Machine(CHILD, cache=cache, deterministic=deterministic).compile(ANSWER)
    assert len(files(tmp_path / "cache")) == 2


def test_attack_14_a_folder_that_others_may_write_to_is_refused(tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(CacheError, match="not only this user's"):
        ModuleCache(folder)


def test_attack_14_a_folder_that_is_opened_later_is_refused(cache, tmp_path):
    machine = Machine(CHILD, cache=cache)
    machine.compile(ANSWER)
    (tmp_path / "cache").chmod(0o755)
    with pytest.raises(CacheError):
        machine.compile(ANSWER)


def test_attack_14_machine_code_behind_a_link_is_refused(cache, tmp_path):
    machine = Machine(CHILD, cache=cache)
    machine.compile(ANSWER)
    (file,) = files(tmp_path / "cache")
    moved = file.rename(tmp_path / "elsewhere")
    file.symlink_to(moved)
    with pytest.raises(CacheError, match="plain file"):
        machine.compile(ANSWER)


def test_damaged_machine_code_is_compiled_anew(cache, tmp_path):
    machine = Machine(CHILD, cache=cache)
    machine.compile(ANSWER)
    (file,) = files(tmp_path / "cache")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    assert machine.instantiate(machine.compile(ANSWER)).call("answer") == (42,)


def test_the_oldest_goes_where_there_is_no_room(tmp_path):
    small = ModuleCache(tmp_path / "small", max_bytes=60_000)
    for at in range(6):
        small.put("key", bytes([at]), bytes(20_000))
        (newest,) = [one for one in files(tmp_path / "small") if small.get("key", bytes([at]))][:1]
        os.utime(newest)
    assert small.get("key", b"\0") is None
    assert small.get("key", b"\5") is not None
    assert sum(one.stat().st_size for one in files(tmp_path / "small")) <= 60_000
