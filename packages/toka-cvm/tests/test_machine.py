import pytest

from toka.cvm import (
    NOTHING_GRANTED,
    Authority,
    CvmError,
    HttpReply,
    ImportRefusedError,
    InvalidModuleError,
    Machine,
    ModuleTooLargeError,
    Services,
    text_to_binary,
)

WASI = "wasi_snapshot_preview1"


def importing(module, name, kinds="", result=""):
    return text_to_binary(
        f'(module (import "{module}" "{name}" (func (param {kinds}) {result}))'
        " (func $start unreachable) (start $start))"
    )


@pytest.mark.parametrize(
    ("name", "kinds", "missing"),
    [
        ("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32", "fs:read:/directory/**"),
        ("path_unlink_file", "i32 i32 i32", "fs:write:/directory/**"),
        ("clock_time_get", "i32 i64 i32", "clock:read:time"),
        ("random_get", "i32 i32", "random:read:bytes"),
    ],
)
def test_attack_7_an_import_that_is_not_granted_names_the_grant(machine, name, kinds, missing):
    module = machine.compile(importing(WASI, name, kinds, "(result i32)"))
    with pytest.raises(ImportRefusedError, match=name) as caught:
        machine.instantiate(module)
    assert caught.value.details["missing"] == [missing]
    assert missing in str(caught.value)


def test_attack_7_an_unknown_import_or_signature_is_refused(machine):
    for module, name, kinds, result, why in [
        ("env", "system", "i32", "(result i32)", "is no host function"),
        (WASI, "fd_write", "i32", "(result i32)", "another signature"),
        ("toka", "log", "i32 i32 i32", "(result i32)", "another signature"),
    ]:
        compiled = machine.compile(importing(module, name, kinds, result))
        with pytest.raises(ImportRefusedError, match=why):
            machine.instantiate(compiled, Authority.parse("log:write:guest"))
    compiled = machine.compile(text_to_binary('(module (import "toka" "log" (memory 1)))'))
    with pytest.raises(ImportRefusedError, match="is no function"):
        machine.instantiate(compiled)


def test_an_import_without_its_service_is_refused(machine):
    module = machine.compile(importing("toka", "http", "i32 i32", "(result i32)"))
    with pytest.raises(ImportRefusedError, match=r"Services\.http"):
        machine.instantiate(module, Authority.parse("net:get:https://example.com/**"))


def test_every_refused_import_is_listed(machine):
    module = machine.compile(
        text_to_binary(
            f'(module (import "{WASI}" "random_get" (func (param i32 i32) (result i32)))'
            ' (import "toka" "clock" (func (result i64))))'
        )
    )
    refused = machine.refused_imports(module, NOTHING_GRANTED)
    assert [one.needs for one in refused] == ["random:read:bytes", "clock:read:time"]
    assert machine.refused_imports(module, Authority.parse("random:*:**", "clock:read:time")) == ()


@pytest.mark.parametrize(
    "wasm",
    [
        b"",
        b"garbage",
        b"(module)",
        b"\0asm",
        b"\0asm\2\0\0\0",
        b"\0asm\1\0\0\0\1",
        b"\0asm\1\0\0\0\1\xff\xff\xff\xff\x0f",
        b"\0asm\1\0\0\0\1\x80\x80\x80\x80\x80\x80",
        b"\0asm\x0d\0\1\0",
        b"\0asm\1\0\0\0\x0a\4\1\2\0\x0b",
    ],
)
def test_attack_14_what_is_no_module_is_refused(machine, wasm):
    with pytest.raises(InvalidModuleError):
        machine.compile(wasm)


def test_attack_14_every_truncation_is_refused(machine):
    whole = importing("toka", "log", "i32 i32 i32")
    for end in range(len(whole)):
        try:
            machine.compile(whole[:end])
        except InvalidModuleError:
            continue
        # Cut between two sections it may be a smaller module, which is as good as any.
        assert whole[end] in range(13)


def test_attack_14_a_component_is_named(machine):
    with pytest.raises(InvalidModuleError, match="component"):
        machine.compile(b"\0asm\x0d\0\1\0")


def test_attack_14_a_huge_custom_section_is_refused(machine):
    size = 17 * 1024 * 1024
    length = bytes(
        [size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14 & 0x7F | 0x80, size >> 21]
    )
    with pytest.raises(ModuleTooLargeError):
        machine.compile(b"\0asm\1\0\0\0\0" + length + bytes(size))


@pytest.mark.parametrize(
    "text",
    [
        "(module (memory 1) (memory 1))",
        "(module (memory i64 1))",
        "(module (memory 1 1 shared))",
        "(module (type (struct)))",
        "(module (tag))",
    ],
)
def test_attack_2_features_that_are_off_are_refused(machine, text):
    with pytest.raises(InvalidModuleError):
        machine.compile(text_to_binary(text))


def test_text_that_is_not_webassembly_is_refused():
    with pytest.raises(InvalidModuleError):
        text_to_binary("(module")


def test_a_module_belongs_to_its_machine(machine):
    module = Machine().compile(text_to_binary("(module)"))
    with pytest.raises(CvmError) as caught:
        machine.instantiate(module)
    assert caught.value.code == "cvm.wrong_machine"


def test_a_seed_needs_a_deterministic_machine(machine):
    with pytest.raises(CvmError) as caught:
        machine.instantiate(machine.compile(text_to_binary("(module)")), seed=b"1")
    assert caught.value.code == "cvm.no_seed"


def test_http_is_not_deterministic(deterministic):
    module = deterministic.compile(importing("toka", "http", "i32 i32", "(result i32)"))
    services = Services(http=lambda _request, _seconds: HttpReply(200))
    with pytest.raises(ImportRefusedError, match="not deterministic"):
        deterministic.instantiate(module, Authority.parse("net:*:**"), services=services)
