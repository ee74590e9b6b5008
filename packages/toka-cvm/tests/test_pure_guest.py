"""Guests as functions, as policies and as handlers of a kernel's operations."""

import json
from itertools import count

import attrs
import msgspec
import pytest

from toka.capability.core import Claims
from toka.cvm import (
    CvmError,
    GuestCallError,
    GuestHandler,
    GuestPolicy,
    GuestRuleError,
    GuestTrapError,
    ImportRefusedError,
    Machine,
    MemoryKeyValue,
    OutOfFuelError,
    PureGuest,
    text_to_binary,
)
from toka.types import Extension

IMPORTS = """
  (import "toka" "input" (func $input (param i32 i32) (result i32)))
  (import "toka" "output" (func $output (param i32 i32)))
  (import "toka" "reply" (func $reply (param i32 i32) (result i32)))
  (import "toka" "kv_get" (func $get (param i32 i32) (result i32)))
  (import "toka" "kv_put" (func $put (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)"""


def said(text, at=1024):
    """Return a data segment with a text, and the call that says it."""
    shown = text.replace("\\", "\\\\").replace('"', '\\"')
    return (
        f'(data (i32.const {at}) "{shown}")',
        f"(call $output (i32.const {at}) (i32.const {len(text.encode())}))",
    )


def judging(text, before=""):
    data, call = said(text)
    return f'(module {IMPORTS} {data} (func (export "judge") {before} {call}))'


# One digit under "n", in the family's state. The 20th byte of a question is the first letter of
# what is asked: "r" raises, "l" loops, "p" puts while it decides, "b" decides what `evolve` traps
# at, "f" decides a float, "n" says nothing, "x" refuses.
FACT, BAD = '{"facts":[{"name":"n.raised.v1","data":1}]}', '{"facts":[{"name":"bad","data":1}]}'
FLOAT = '{"facts":[{"name":"n.raised.v1","data":1.5}]}'
REFUSAL = '{"refusal":{"code":"full","message":"It is full."}}'
DATA = [said(text, 1024 + 128 * n) for n, text in enumerate([FACT, BAD, FLOAT, REFUSAL])]
COUNTER = f"""(module {IMPORTS}
  (data (i32.const 512) "n") (data (i32.const 520) "0")
  {" ".join([data for data, _ in DATA])}
  (func $asked (param i32) (result i32)
    (i32.eq (i32.load8_u (i32.const 19)) (local.get 0)))
  (func (export "decide")
    (drop (call $input (i32.const 0) (i32.const 500)))
    (if (call $asked (i32.const 108)) (then (loop $l (br $l))))
    (if (call $asked (i32.const 112))
      (then (if (i32.eq (call $put (i32.const 512) (i32.const 1) (i32.const 520) (i32.const 1))
                 (i32.const -2)) (then {DATA[3][1]} (return))) (unreachable)))
    (if (call $asked (i32.const 98)) (then {DATA[1][1]} (return)))
    (if (call $asked (i32.const 102)) (then {DATA[2][1]} (return)))
    (if (call $asked (i32.const 120)) (then {DATA[3][1]} (return)))
    (if (call $asked (i32.const 110)) (then (return)))
    {DATA[0][1]})
  (func (export "evolve")
    (drop (call $input (i32.const 0) (i32.const 500)))
    (if (i32.eq (i32.load8_u (i32.const 9)) (i32.const 98)) (then (unreachable)))
    (if (i32.gt_s (call $get (i32.const 512) (i32.const 1)) (i32.const 0))
      (then (drop (call $reply (i32.const 520) (i32.const 1)))))
    (i32.store8 (i32.const 520) (i32.add (i32.load8_u (i32.const 520)) (i32.const 1)))
    (if (call $put (i32.const 512) (i32.const 1) (i32.const 520) (i32.const 1))
      (then (unreachable)))))"""

CLAIMS = Claims("ada", "home", ("counter:*:**",), 1, 2, "token-1")


@attrs.frozen
class Fact:
    name: str
    data: msgspec.Raw


@attrs.frozen
class Rejection:
    code: str
    message: str


class Map(dict):
    """A map that gives a new one for every change, as the kernel's tables do."""

    def insert(self, key, value):
        return Map({**self, key: value})

    def discard(self, key):
        return Map({name: value for name, value in self.items() if name != key})


class Ids:
    def __init__(self):
        self._numbers = count()

    def entity(self):
        return f"{next(self._numbers):026d}"


@pytest.fixture(scope="module")
def pure(deterministic):
    def make(text, **options):
        return PureGuest(text_to_binary(text), machine=deterministic, **options)

    return make


@pytest.fixture
def handler(pure):
    return GuestHandler(pure(COUNTER, fuel=200_000), Fact, Rejection)


def ask(handler, what, slot=None):
    operation = Extension(f"counter.{what}.v1", "counter:raise:n", msgspec.Raw(b"1"))
    return handler.decide(Map() if slot is None else slot, operation, CLAIMS, 5, Ids())


# --- Functions ---


ECHO = f"""(module {IMPORTS}
  (func (export "ask")
    (call $output (i32.const 0) (call $input (i32.const 0) (i32.const 1000)))))"""


def test_the_same_question_has_the_same_answer_and_costs_the_same(pure):
    guest = pure(ECHO)
    first, second = guest.ask("ask", b"question"), guest.ask("ask", b"question")
    assert first == second
    assert first.output == b"question"
    assert first.fuel_used > 0
    assert pure(ECHO).digest == guest.digest


def test_a_question_leaves_nothing_for_the_next(pure):
    guest = pure(f"""(module {IMPORTS}
      (func (export "ask")
        (i32.store8 (i32.const 0) (i32.add (i32.load8_u (i32.const 0)) (i32.const 49)))
        (call $output (i32.const 0) (i32.const 1))))""")
    assert [guest.ask("ask", b"").output for _ in range(3)] == [b"1"] * 3


def test_random_bytes_are_those_of_the_question(pure):
    guest = pure("""(module
      (import "toka" "random" (func $random (param i32 i32)))
      (import "toka" "output" (func $output (param i32 i32)))
      (memory (export "memory") 1)
      (func (export "ask") (call $random (i32.const 0) (i32.const 16))
        (call $output (i32.const 0) (i32.const 16))))""")
    one, other = guest.ask("ask", b"one").output, guest.ask("ask", b"other").output
    assert one == guest.ask("ask", b"one").output
    assert one != other


def test_a_reactor_is_started_before_each_question(pure):
    guest = pure(f"""(module {IMPORTS}
      (func (export "_initialize") (i32.store8 (i32.const 0) (i32.const 105)))
      (func (export "ask") (call $output (i32.const 0) (i32.const 1))))""")
    assert guest.ask("ask", b"").output == b"i"


def test_fuel_ends_a_question_at_the_same_point(pure):
    text = f'(module {IMPORTS} (func (export "ask") (loop $l (br $l))))'
    for _ in range(2):
        with pytest.raises(OutOfFuelError):
            pure(text, fuel=10_000).ask("ask", b"")


def test_a_status_is_no_answer(pure):
    guest = pure("""(module
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1) (func (export "ask") (call $exit (i32.const 3))))""")
    with pytest.raises(GuestTrapError, match="status 3"):
        guest.ask("ask", b"")


def test_what_is_no_function_of_its_question_is_refused(pure):
    for imported in (
        '(import "toka" "http" (func (param i32 i32) (result i32)))',
        '(import "toka" "log" (func (param i32 i32 i32)))',
    ):
        with pytest.raises(ImportRefusedError):
            pure(f'(module {imported} (memory (export "memory") 1))')


def test_a_machine_that_is_not_deterministic_is_refused():
    with pytest.raises(CvmError, match="deterministic"):
        PureGuest(text_to_binary(ECHO), machine=Machine())


def test_an_export_that_is_not_there_is_the_callers_fault(pure):
    with pytest.raises(GuestCallError):
        pure(ECHO).ask("other", b"")


def test_what_it_may_only_look_up_it_cannot_change(pure):
    text = f"""(module {IMPORTS} (data (i32.const 0) "key1")
      (func (export "ask")
        (i32.store8 (i32.const 50) (i32.sub (i32.const 48)
          (call $put (i32.const 0) (i32.const 3) (i32.const 3) (i32.const 1))))
        (call $output (i32.const 50) (i32.const 1))))"""
    store = MemoryKeyValue()
    assert pure(text).ask("ask", b"", key_value=store).output == b"2"
    assert store.get("key") is None
    assert pure(text).ask("ask", b"", key_value=store, writes=True).output == b"0"
    assert store.get("key") == b"1"


# --- Policies ---


def test_a_policy_allows_and_refuses(pure):
    yes = GuestPolicy(pure(judging('{"allow":true}'))).judge({"opcode": "x"})
    assert yes.allowed
    assert not yes.reason
    no = GuestPolicy(pure(judging('{"allow":false,"reason":"Not\\u0007 today"}'))).judge({})
    assert (no.allowed, no.reason, no.code) == (False, "Not today", "policy.refused")


@pytest.mark.parametrize(
    ("text", "before", "code"),
    [
        ('{"allow":true}', "(unreachable)", "cvm.trap"),
        ('{"allow":true}', "(loop $l (br $l))", "cvm.out_of_fuel"),
        ('{"allow":1}', "", "policy.no_verdict"),
        ('{"allow":true,"more":1}', "", "policy.no_verdict"),
        ('{"allow":true}{"allow":true}', "", "policy.no_verdict"),
        ("", "", "policy.no_verdict"),
    ],
)
def test_whatever_a_policy_does_otherwise_is_a_no(pure, text, before, code):
    verdict = GuestPolicy(pure(judging(text, before), fuel=50_000)).judge({"a": 1})
    assert not verdict.allowed
    assert verdict.code == code
    assert verdict.reason


def test_a_guest_without_a_judge_is_no_policy(pure):
    with pytest.raises(CvmError):
        GuestPolicy(pure(ECHO))


# --- Handlers ---


def test_a_handler_decides_and_keeps_its_state(handler):
    slot = Map()
    for expected in (b"1", b"2"):
        facts = ask(handler, "raise", slot)
        assert [(one.name, bytes(one.data)) for one in facts] == [("n.raised.v1", b"1")]
        before = dict(slot)
        slot = handler.evolve(slot, facts[0])
        assert bytes(slot["n"]) == expected
        assert before.get("n") != slot["n"]


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("x", "guest.full"),
        ("loop", "cvm.out_of_fuel"),
        ("put", "guest.full"),  # It was denied, and says so.
        ("bad", "cvm.rule_failed"),
        ("float", "cvm.rule_failed"),
        ("nothing", "cvm.rule_failed"),
    ],
)
def test_what_a_guest_refuses_or_cannot_do_is_a_refusal(handler, what, code):
    slot = Map()
    first = ask(handler, what, slot)
    assert isinstance(first, Rejection)
    assert first.code == code
    assert ask(handler, what, slot) == first
    assert slot == {}


def test_a_fact_that_cannot_be_applied_is_no_state(handler):
    with pytest.raises(GuestRuleError, match="bad") as failed:
        handler.evolve(Map(), Fact("bad", msgspec.Raw(b"1")))
    assert failed.value.details["trap"] == "unreachable"


def test_a_value_that_is_no_json_is_not_kept(handler):
    # The digit after "9" is ":", which no JSON begins with.
    slot = Map(n=msgspec.Raw(b"9"))
    answer = ask(handler, "raise", slot)
    assert isinstance(answer, Rejection)
    assert answer.code == "cvm.rule_failed"


@pytest.mark.parametrize(
    "answer",
    [
        "[]",
        "{}",
        '{"facts":[],"refusal":{"code":"a"}}',
        '{"refusal":{"code":"kernel.capability_denied"}}',
        '{"facts":[{"name":"n"}],"more":1}',
        json.dumps({"facts": [{"name": "n.v1"}] * 65}),
    ],
)
def test_an_answer_that_is_not_in_the_form_is_a_refusal(pure, answer):
    data, call = said(answer)
    guest = pure(
        f'(module {IMPORTS} {data} (func (export "decide") {call}) (func (export "evolve")))'
    )
    rejection = ask(GuestHandler(guest, Fact, Rejection), "raise")
    assert isinstance(rejection, Rejection)
    assert rejection.code == "cvm.rule_failed"


def test_both_functions_have_to_be_there(pure):
    with pytest.raises(GuestRuleError, match="decide"):
        GuestHandler(pure(ECHO), Fact, Rejection)
