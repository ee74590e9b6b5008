"""Files, streams and waiting through WASI preview 1, called with numbers as a guest's libc does."""

import os
import threading

import pytest

from toka.capability.core import PermissionSet
from toka.cvm import (
    Authority,
    DeadlineError,
    ImportRefusedError,
    Limits,
    QuotaError,
    Services,
)
from toka.cvm._files import FileTable
from toka.cvm._machine import _FUNCTIONS as FUNCTIONS

SUCCESS, ACCESS, BADF, EXIST, ILSEQ, INVAL, ISDIR, LOOP = 0, 2, 8, 20, 25, 28, 31, 32
NOENT, NOTDIR, NOTEMPTY, NOTSUP, PERM, SPIPE, NOTCAPABLE = 44, 54, 55, 58, 63, 70, 76
REFUSALS = {ACCESS, ILSEQ, INVAL, LOOP, NOENT, NOTDIR, PERM, NOTCAPABLE}
CREATE, DIRECTORY, EXCLUSIVE, TRUNCATE = 1, 2, 4, 8
READ, WRITE = 1 << 1, 1 << 6
PREVIEW1 = [one.signature for one in FUNCTIONS if one.signature.module.startswith("wasi")]


def text_of(names):
    """Return a module that hands every named import through under its own name."""
    lines = ["(module"]
    wanted = [one for one in PREVIEW1 if one.name in names]
    for one in wanted:
        result = f" (result {one.result})" if one.result else ""
        kinds = " ".join(one.parameters)
        lines.append(
            f'(import "{one.module}" "{one.name}" (func ${one.name} (param {kinds}){result}))'
        )
    lines.append("""(memory (export "memory") 2)
      (func (export "poke") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
      (func (export "peek") (param i32) (result i32) (i32.load8_u (local.get 0)))""")
    for one in wanted:
        result = f" (result {one.result})" if one.result else ""
        gets = " ".join(f"(local.get {at})" for at in range(len(one.parameters)))
        kinds = " ".join(one.parameters)
        lines.append(
            f'(func (export "{one.name}") (param {kinds}){result} (call ${one.name} {gets}))'
        )
    return "\n".join([*lines, ")"])


class Libc:
    """What a C library does: paths and buffers into memory, numbers to the call."""

    def __init__(self, guest):
        self.guest = guest

    def put(self, at, data):
        for offset, byte in enumerate(data):
            self.guest.call("poke", at + offset, byte)
        return at, len(data)

    def peek(self, at, size):
        return bytes([self.guest.call("peek", at + offset)[0] for offset in range(size)])

    def number(self, at, size=4):
        return int.from_bytes(self.peek(at, size), "little")

    def call(self, name, *arguments):
        return self.guest.call(name, *arguments)[0]

    def open(self, path, rights=READ, flags=0, base=3, status=0):
        place = self.put(1_000, os.fsencode(path))
        error = self.call("path_open", base, 0, *place, flags, rights, rights, status, 8)
        return (error, None) if error else (SUCCESS, self.number(8))

    def read(self, number, size=100):
        self.put(16, (2_000).to_bytes(4, "little") + size.to_bytes(4, "little"))
        error = self.call("fd_read", number, 16, 1, 8)
        return (error, b"") if error else (SUCCESS, self.peek(2_000, self.number(8)))

    def write(self, number, data):
        place = self.put(3_000, data)
        self.put(16, b"".join(one.to_bytes(4, "little") for one in place))
        return self.call("fd_write", number, 16, 1, 8)

    def with_path(self, name, path, *rest, base=3):
        return self.call(name, base, *self.put(1_000, os.fsencode(path)), *rest)


@pytest.fixture
def libc(guest):
    def make(*permissions, **options):
        allowed = {one.partition(":")[0] for one in permissions}
        writes = any(one.startswith(("fs:write", "fs:*")) for one in permissions)
        names = {
            one.signature.name
            for one in FUNCTIONS
            if one.grant is None
            or (one.grant.domain in allowed and (writes or one.grant.actions != ("write",)))
        }
        return Libc(guest(text_of(names), *permissions, **options))

    return make


@pytest.fixture
def reader(libc, folder):
    return libc(f"fs:read:{folder}/**")


@pytest.fixture
def writer(libc, folder):
    return libc(f"fs:*:{folder}/**")


def test_every_import_of_preview_1_is_there():
    names = {one.name for one in PREVIEW1}
    assert len(names) >= 40
    assert not any(name.startswith("sock_") for name in names)


def test_reads_a_file(reader):
    error, number = reader.open("a.txt")
    assert (error, reader.read(number)) == (SUCCESS, (SUCCESS, b"hello"))
    assert reader.call("fd_close", number) == SUCCESS


def test_tells_the_directories_that_are_open(reader, folder):
    assert reader.call("fd_prestat_get", 3, 100) == SUCCESS
    size = reader.number(104)
    assert reader.call("fd_prestat_dir_name", 3, 200, size) == SUCCESS
    assert reader.peek(200, size).decode() == str(folder)
    assert reader.call("fd_prestat_get", 4, 100) == BADF
    assert reader.call("fd_prestat_dir_name", 3, 200, size - 1) == INVAL


ESCAPES = [
    "../secret.txt",
    "x/../../secret.txt",
    "/etc/passwd",
    "./../secret.txt",
    "a.txt/../../secret.txt",
    "link",
    "link-to-parent/secret.txt",
    "sub/../link",
    "a//b",
    "sub//a.txt",
    "a.txt\0",
    "hard",
    "",
]


@pytest.mark.parametrize("path", ESCAPES)
@pytest.mark.parametrize("flags", [0, TRUNCATE, CREATE, DIRECTORY])
def test_attack_8_no_path_leaves_its_directory(writer, folder, tmp_path, path, flags):
    (folder / "sub").mkdir()
    (folder / "link").symlink_to(tmp_path / "secret.txt")
    (folder / "link-to-parent").symlink_to(tmp_path)
    os.link(tmp_path / "secret.txt", folder / "hard")
    rights = READ | (WRITE if flags & (TRUNCATE | CREATE) else 0)
    error, _ = writer.open(path, rights, flags)
    assert error in REFUSALS | {ISDIR}, error
    assert error != SUCCESS
    assert (tmp_path / "secret.txt").read_text() == "secret"
    assert sorted(one.name for one in folder.iterdir()) == [
        "a.txt", "hard", "link", "link-to-parent", "sub",
    ]  # fmt: skip


def test_attack_8_a_path_that_is_not_utf_8_is_refused(reader):
    assert reader.open(b"\xff\xfe")[0] == ILSEQ


def test_attack_8_a_long_path_is_refused(reader):
    assert reader.open("x" * 5_000)[0] == 37


def test_attack_8_a_pipe_or_a_device_is_not_opened(reader, folder):
    os.mkfifo(folder / "pipe")
    assert reader.open("pipe")[0] in REFUSALS


def test_attack_8_only_what_is_granted_beneath_a_directory_is_open(libc, folder):
    (folder / "b.txt").write_text("other")
    one = libc(f"fs:read:{folder}/a.txt")
    assert one.open("a.txt")[0] == SUCCESS
    assert one.open("b.txt")[0] == NOTCAPABLE
    assert one.guest.denied == (f"fs:read:{folder}/b.txt",)


def test_attack_8_a_swapped_link_never_leads_outside(reader, folder, tmp_path):
    name, stop = folder / "swap", threading.Event()
    (folder / "plain").write_text("plain")

    def swap():
        while not stop.is_set():
            name.unlink(missing_ok=True)
            name.symlink_to(tmp_path / "secret.txt")
            name.unlink()
            _copy(folder / "plain", folder / "next").rename(name)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        seen = set()
        for _ in range(300):
            error, number = reader.open("swap")
            if error == SUCCESS:
                seen.add(reader.read(number)[1])
                reader.call("fd_close", number)
    finally:
        stop.set()
        thread.join()
    assert b"secret" not in seen


def _copy(source, target):
    target.write_bytes(source.read_bytes())
    return target


def test_attack_9_a_guest_plants_no_link(writer, folder):
    old, new = writer.put(1_000, b"../secret.txt"), writer.put(1_100, b"planted")
    assert writer.call("path_symlink", *old, 3, *new) == NOTCAPABLE
    file = writer.put(1_000, b"a.txt")
    assert writer.call("path_link", 3, 0, *file, 3, *new) == NOTCAPABLE
    assert [one.name for one in folder.iterdir()] == ["a.txt"]


def test_attack_7_files_need_a_grant(guest):
    with pytest.raises(ImportRefusedError) as refused:
        guest(text_of({"path_open", "path_unlink_file", "fd_write"}))
    assert refused.value.details["imports"] == [
        "wasi_snapshot_preview1.path_open",
        "wasi_snapshot_preview1.path_unlink_file",
    ]


def test_writes_a_file(writer, folder):
    error, number = writer.open("new", WRITE, CREATE | EXCLUSIVE)
    assert (error, writer.write(number, b"written")) == (SUCCESS, SUCCESS)
    assert (folder / "new").read_bytes() == b"written"
    assert writer.read(number)[0] == BADF
    assert writer.open("new", WRITE, CREATE | EXCLUSIVE)[0] == EXIST
    error, number = writer.open("new", WRITE, 0, status=1)
    assert writer.write(number, b" more") == SUCCESS
    assert (folder / "new").read_bytes() == b"written more"
    assert writer.open("new", WRITE, TRUNCATE)[0] == SUCCESS
    assert (folder / "new").read_bytes() == b""


def test_what_may_only_be_read_is_not_written(reader, folder):
    for flags in (0, CREATE, TRUNCATE):
        assert reader.open("a.txt", WRITE, flags)[0] == NOTCAPABLE
    assert reader.open("new", WRITE, CREATE)[0] == NOTCAPABLE
    assert (folder / "a.txt").read_text() == "hello"
    assert reader.write(reader.open("a.txt")[1], b"x") == BADF


def test_what_may_only_be_written_is_not_read(libc, folder):
    one = libc(f"fs:write:{folder}/**")
    assert one.open("a.txt", READ)[0] == NOTCAPABLE
    assert one.open("a.txt", READ | WRITE)[0] == NOTCAPABLE
    number = one.open("a.txt", WRITE)[1]
    assert one.read(number)[0] == BADF
    assert one.with_path("path_rename", "a.txt", 3, *one.put(1_100, b"b.txt")) == NOTCAPABLE
    assert one.call("fd_readdir", 3, 100, 100, 0, 8) == NOTCAPABLE


def test_seeks_and_reads_at_a_place(writer):
    number = writer.open("a.txt")[1]
    assert writer.call("fd_seek", number, 1, 0, 24) == SUCCESS
    assert writer.read(number, 2) == (SUCCESS, b"el")
    assert writer.call("fd_tell", number, 24) == SUCCESS
    assert writer.number(24, 8) == 3
    writer.put(16, (2_000).to_bytes(4, "little") + (2).to_bytes(4, "little"))
    assert writer.call("fd_pread", number, 16, 1, 3, 8) == SUCCESS
    assert writer.peek(2_000, 2) == b"lo"
    assert writer.call("fd_seek", number, -1, 0, 24) == INVAL
    assert writer.call("fd_seek", number, 0, 9, 24) == INVAL
    assert writer.call("fd_seek", 1, 0, 0, 24) == SPIPE
    assert writer.call("fd_pread", number, 16, 1, -1, 8) == INVAL


def test_directories(writer, folder):
    assert writer.with_path("path_create_directory", "sub") == SUCCESS
    assert writer.with_path("path_create_directory", "sub") == EXIST
    assert writer.open("sub/x", WRITE, CREATE)[0] == SUCCESS
    assert writer.with_path("path_remove_directory", "sub") == NOTEMPTY
    assert writer.with_path("path_unlink_file", "sub/x") == SUCCESS
    assert writer.with_path("path_unlink_file", "sub") in {ISDIR, PERM, NOTCAPABLE}
    assert writer.with_path("path_rename", "sub", 3, *writer.put(1_100, b"other")) == NOTSUP
    assert writer.with_path("path_remove_directory", "sub") == SUCCESS
    assert [one.name for one in folder.iterdir()] == ["a.txt"]


def test_a_file_is_renamed(writer, folder):
    assert writer.with_path("path_rename", "a.txt", 3, *writer.put(1_100, b"b.txt")) == SUCCESS
    assert [one.name for one in folder.iterdir()] == ["b.txt"]
    to_outside = writer.put(1_100, b"../b.txt")
    assert writer.with_path("path_rename", "b.txt", 3, *to_outside) in REFUSALS


def test_lists_a_directory_in_pieces(reader, folder):
    for name in ("b", "c" * 60):
        (folder / name).write_text("")
    names, cookie = [], 0
    while True:
        assert reader.call("fd_readdir", 3, 4_000, 90, cookie, 8) == SUCCESS
        data = reader.peek(4_000, reader.number(8))
        whole = 0
        while len(data) >= 24 + (size := int.from_bytes(data[16:20], "little")) and len(data) > 24:
            names.append(data[24 : 24 + size].decode())
            cookie, data, whole = int.from_bytes(data[:8], "little"), data[24 + size :], whole + 1
        if not whole:
            break
    assert names == [".", "..", "a.txt", "b", "c" * 60]


def test_says_what_a_file_is(reader):
    place = reader.put(1_000, b"a.txt")
    assert reader.call("path_filestat_get", 3, 0, *place, 200) == SUCCESS
    assert (reader.peek(216, 1), reader.number(232, 8)) == (b"\x04", 5)
    assert reader.call("fd_filestat_get", 1, 200) == SUCCESS
    assert reader.call("fd_fdstat_get", 3, 200) == SUCCESS
    assert reader.peek(200, 1) == b"\x03"


def test_a_link_can_be_read_and_not_followed(reader, folder):
    (folder / "link").symlink_to("a.txt")
    assert reader.with_path("path_readlink", "link", 200, 100, 8) == SUCCESS
    assert reader.peek(200, reader.number(8)) == b"a.txt"
    assert reader.open("link")[0] == LOOP


def test_attack_13_a_handle_that_is_not_held_is_refused(reader):
    number = reader.open("a.txt")[1]
    assert reader.call("fd_close", number) == SUCCESS
    for handle in (number, 999, -1, 2**31 - 1):
        assert reader.read(handle)[0] == BADF
        assert reader.call("fd_close", handle) == BADF
        assert reader.open("a.txt", base=handle)[0] == BADF
        assert reader.call("fd_renumber", handle, 3) == BADF


def test_attack_13_handles_belong_to_one_guest(libc, folder):
    one, other = libc(f"fs:read:{folder}/**"), libc(f"fs:read:{folder}/**")
    number = one.open("a.txt")[1]
    assert other.read(number)[0] == BADF


def test_a_handle_can_get_another_number(reader):
    first, second = reader.open("a.txt")[1], reader.open("a.txt")[1]
    assert reader.call("fd_renumber", first, second) == SUCCESS
    assert reader.read(first)[0] == BADF
    assert reader.read(second) == (SUCCESS, b"hello")


def repeat(times, call, *arguments):
    for _ in range(times):
        call(*arguments)


def test_attack_11_open_files_are_a_quota(libc, folder):
    one = libc(f"fs:read:{folder}/**", limits=Limits(open_files=4))
    with pytest.raises(QuotaError, match="open files"):
        repeat(5, one.open, "a.txt")


def test_attack_11_a_flood_of_output_is_a_quota(libc):
    one = libc("log:write:x", limits=Limits(output_bytes=100))
    with pytest.raises(QuotaError, match="output"):
        repeat(20, one.write, 1, b"0123456789")
    assert len(one.guest.take_output()[0]) == 100


def test_attack_11_more_vectors_than_a_call_may_move_end_the_guest(libc):
    one = libc("log:write:x", limits=Limits(transfer_bytes=1_000))
    one.put(16, (0).to_bytes(4, "little") + (1_001).to_bytes(4, "little"))
    with pytest.raises(QuotaError, match="moves"):
        one.call("fd_write", 1, 16, 1, 8)


def test_waiting_is_waited_for(libc, step_clock):
    one = libc("clock:read:time", services=Services(clock=step_clock(0.001)))
    one.put(100, sleep(5_000_000))
    assert one.call("poll_oneoff", 100, 200, 1, 8) == SUCCESS
    assert one.number(8) == 1
    assert one.peek(200, 8) == b"USERDATA"


def test_attack_1_a_sleep_ends_at_the_deadline(libc):
    one = libc("clock:read:time", limits=Limits(deadline_seconds=0.05))
    one.put(100, sleep(60_000_000_000))
    with pytest.raises(DeadlineError):
        one.call("poll_oneoff", 100, 200, 1, 8)


def sleep(nanoseconds):
    return (
        b"USERDATA"
        + bytes(8)
        + (1).to_bytes(4, "little")
        + bytes(4)
        + nanoseconds.to_bytes(8, "little")
        + bytes(16)
    )


def test_a_directory_behind_a_link_is_not_opened_for_an_authority_that_follows_none(folder):
    (folder.parent / "way").symlink_to(folder)
    permissions = PermissionSet.parse([f"fs:read:{folder.parent}/way/**"])
    assert FileTable(Authority(permissions), 8).get(3) is not None
    assert FileTable(Authority(permissions, follows_links=False), 8).get(3) is None
    straight = PermissionSet.parse([f"fs:read:{folder}/**"])
    opened = FileTable(Authority(straight, follows_links=False), 8).get(3)
    assert opened is not None
    assert opened.path == str(folder)


def test_what_an_authority_does_not_agree_to_is_not_granted(folder):
    asked = []

    def agrees(wish):
        asked.append(wish)
        return wish.endswith("a.txt")

    authority = Authority(PermissionSet.parse([f"fs:read:{folder}/**"]), agrees=agrees)
    assert authority.allows("fs", "read", f"{folder}/a.txt")
    assert not authority.allows("fs", "read", f"{folder}/b.txt")
    assert not authority.allows("fs", "write", f"{folder}/a.txt")
    assert asked == [f"fs:read:{folder}/a.txt", f"fs:read:{folder}/b.txt"]
