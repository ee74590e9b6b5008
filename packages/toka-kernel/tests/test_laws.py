"""Laws that hold whatever is asked, in whatever order, by whomever, whenever.

A machine asks for anything at all, mostly sensible things. After every answer the laws of budgets
are held against the state, and at the end those of leases, steps and approvals against the log.
"""

from collections import defaultdict
from typing import ClassVar, TypeVar

import attrs
import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from toka.capability.core import Hop
from toka.kernel import EMPTY_STATE, Rejection, decode_body, encode_body, restore, snapshot
from toka.types import (
    AgentId,
    Amounts,
    Budget,
    CancelTask,
    CompleteTask,
    CopyStep,
    EntityId,
    ExpireApproval,
    FailTask,
    Failure,
    FinishAgent,
    FinishStep,
    OpenHost,
    ReleaseTask,
    RenewLease,
    RequestApproval,
    ReserveBudget,
    ResolveApproval,
    RestartAgent,
    ResumeAgent,
    RetryTask,
    ScheduleTask,
    SendMessage,
    SettleBudget,
    SpawnAgent,
    StartStep,
    StartTask,
    SuspendAgent,
    TaskSpec,
    TerminateAgent,
    agent_of,
    child_agent,
    digest,
    parent_of,
    task_id,
)

FAILURE = Failure("test.failed", "It failed.")
LEASE = 100
NOBODY = AgentId("nobody")
NOTHING = EntityId("nothing")
Name = TypeVar("Name", bound=str)
amounts = st.builds(Amounts, st.integers(0, 6), st.integers(0, 3), st.integers(0, 1))
limit = st.one_of(st.none(), st.integers(0, 12))
budgets = st.builds(Budget, limit, limit, limit)
picks = st.integers(0, 1 << 16)


def plus(*parts: tuple[int, int, int]) -> tuple[int, int, int]:
    money, tokens, calls = (sum(column) for column in zip((0, 0, 0), *parts, strict=True))
    return money, tokens, calls


def values(some):
    return some.money, some.tokens, some.calls


RICH = "rich"


def handed(parent, name, budget):
    """Return claims as they are after one more hop."""
    merged = tuple(sorted({**dict(parent.budget), **dict(budget)}.items()))
    chain = (*parent.accounts, Hop(name, name, budget))
    return attrs.evolve(parent, token_id=name, subject=name, budget=merged, chain=chain)


class Laws(RuleBasedStateMachine):
    make_world: ClassVar[type]

    def __init__(self):
        super().__init__()
        self.world = self.make_world()
        self.spent: defaultdict[str, tuple[int, int, int]] = defaultdict(plus)
        self.human = self.world.claims("human", "approval:resolve:**")
        self.paid: defaultdict[str, tuple[int, int, int]] = defaultdict(plus)
        self.sponsors: defaultdict[str, set[str]] = defaultdict(set)
        self.begun: dict[tuple[str, int, str] | str, str] = {}
        boss = self.world.boss
        rich = attrs.evolve(boss, budget=(("calls", 9), ("money", 40)), token_id=RICH)
        heirs = [
            handed(rich, "heir-1", (("calls", 3),)),
            handed(rich, "heir-2", (("money", 20), ("tokens", 5))),
            handed(rich, "heir-3", ()),
        ]
        self.hands = [boss, rich, *heirs, boss, handed(heirs[1], "heir-4", (("money", 10),))]

    @initialize(budget=budgets)
    def begin(self, budget):
        self.ask(SpawnAgent(None, "run", budget=budget))
        [root] = self.world.state.agents()
        self.ask(SpawnAgent(root, "a"))
        for _ in range(3):
            self.ask(ScheduleTask(child_agent(root, "a"), TaskSpec("do it")))
            self.start(0, "first")

    def ask(self, operation, claims=None):
        world = self.world
        before, shape = world.state, world.state.digest()
        answer = world.ask(operation, claims or self.hand())
        assert before.digest() == shape
        if isinstance(answer, Rejection):
            assert world.state is before
            return
        for event in answer:
            assert decode_body(event.kind, encode_body(event.body)) == event.body
            self.count(event)

    def count(self, event):
        body = event.body
        toll = getattr(body, "toll", None)
        if event.kind in ("agent.spawned.v1", "agent.restarted.v1"):
            self.sponsors[event.stream] |= self.accounts_of(event.token)
        elif event.kind == "step.started.v1":
            self.begun[event.stream, body.task, body.path] = event.token
        elif event.kind == "budget.reserved.v1":
            self.begun[body.reservation] = event.token
        elif event.kind == "budget.settled.v1":
            self.pay(event, self.begun[body.reservation], body.spent)
        elif toll is not None:
            step = (event.stream, body.task, body.path)
            token = event.token if body.intent else self.begun[step]
            self.pay(event, token, toll.spent)

    def pay(self, event, token, spent):
        """Count a spending: in the family, and once in every account that has to do with it."""
        self.spent[event.intent] = plus(self.spent[event.intent], values(spent))
        payers, agent = self.accounts_of(token), event.stream
        while agent is not None:
            payers |= self.sponsors[agent]
            agent = parent_of(agent)
        for payer in payers:
            self.paid[payer] = plus(self.paid[payer], values(spent))

    def accounts_of(self, token):
        claims = next((each for each in self.hands if each.token_id == token), None)
        return {hop.token_id for hop in claims.accounts if hop.budget} if claims else set()

    def hand(self):
        """Return whose turn it is to ask, in an order that repeats with the log."""
        return self.hands[len(self.world.log) // 2 % len(self.hands)]

    def pick(self, items, pick, otherwise: Name) -> Name:
        items = sorted(items)
        return items[pick % len(items)] if items else otherwise

    def agent(self, pick):
        return self.pick(self.world.state.agents(), pick, NOBODY)

    def task(self, pick, phase=None):
        """Return a task, of that phase if there is one."""
        tasks = {t: k for f in self.world.state.families.values() for t, k in f.tasks.items()}
        fitting = [task for task, known in tasks.items() if known.phase == phase]
        return self.pick(fitting or tasks, pick, task_id(NOBODY, 0))

    def fence(self, task, off):
        known = self.world.state.task(task)
        return (0 if known is None else known.fence) - off

    # Agents

    @rule(pick=picks, name=st.sampled_from("abc"), budget=budgets)
    def spawn(self, pick, name, budget):
        self.ask(SpawnAgent(self.agent(pick), name, budget=budget))

    @rule(budget=budgets, pick=picks)
    def spawn_another_root(self, budget, pick):
        earlier = {event.intent for event in self.world.log if event.kind == "agent.spawned.v1"}
        source = AgentId(self.pick(earlier, pick, NOTHING))
        self.ask(SpawnAgent(None, "run", budget=budget, copies_from=source))
        root = self.world.log[-1].stream
        self.ask(ScheduleTask(root, TaskSpec("do it again")))
        self.ask(StartTask(task_id(root, 0), "first", LEASE))

    @rule(
        pick=picks,
        make=st.sampled_from(
            [
                lambda a: SuspendAgent(a, ""),
                ResumeAgent,
                lambda a: RestartAgent(a, ""),
                FinishAgent,
                lambda a: FinishAgent(a, FAILURE),
                lambda a: TerminateAgent(a, ""),
            ]
        ),
        sure=st.integers(0, 15),
    )
    def change_life(self, pick, make, sure):
        agent = self.agent(pick)
        if sure == 1 or parent_of(agent) is not None:  # or families would never get old
            self.ask(make(agent))

    # Tasks

    @rule(pick=picks)
    def schedule(self, pick):
        self.ask(ScheduleTask(self.agent(pick), TaskSpec("do it")))

    @rule(pick=picks, holder=st.sampled_from(["first", "second"]))
    def start(self, pick, holder):
        self.ask(StartTask(self.task(pick, "queued"), holder, LEASE))

    @rule(pick=picks, holder=st.sampled_from(["first", "second"]))
    def take_over(self, pick, holder):
        self.ask(StartTask(self.task(pick, "running"), holder, LEASE))

    @rule(
        pick=picks,
        off=st.sampled_from([0, 0, 0, 1]),
        make=st.sampled_from(
            [
                lambda t, f: RenewLease(t, f, LEASE),
                lambda t, f: ReleaseTask(t, f, ""),
                lambda t, f: RetryTask(t, f, FAILURE, 0),
                CompleteTask,
                lambda t, f: FailTask(t, f, FAILURE),
                lambda t, _: CancelTask(t, ""),
            ]
        ),
    )
    def work(self, pick, off, make):
        task = self.task(pick, "running")
        self.ask(make(task, self.fence(task, off)))

    @rule(by=st.integers(1, LEASE))
    def wait(self, by):
        self.world.now += by

    @rule(sure=st.integers(0, 7))
    def change_host(self, sure):
        if sure == 1:
            self.ask(OpenHost("next"))

    # Steps

    def step(self, pick, path, off, estimate, approval=None, message=None):
        task = self.task(pick, "running")
        known = self.world.state.task(task)
        if known is not None and off == 0 and path in known.started:
            earlier = known.started[path]
            estimate, approval, message = earlier.estimate, earlier.approval, earlier.message
        at = None if known is None else known.paths.get(path)
        return self.world.step(
            task,
            path=path,
            ordinal=max(0, (0 if at is None else at.next) - off),
            effect="external",
            estimate=estimate,
            approval=approval,
            message=message,
        )

    @rule(
        pick=picks,
        path=st.sampled_from(["root", "root/1"]),
        off=st.sampled_from([0, 0, 0, 1]),
        estimate=amounts,
        approve=st.booleans(),
    )
    def start_step(self, pick, path, off, estimate, approve):
        known = self.world.state.task(self.task(pick, "running"))
        approval = known.approvals[0] if approve and known and known.approvals else None
        self.ask(StartStep(self.step(pick, path, off, estimate, approval)))

    @rule(
        pick=picks,
        path=st.sampled_from(["root", "root/1"]),
        off=st.sampled_from([0, 0, 0, 1]),
        spent=amounts,
        fail=st.booleans(),
    )
    def finish_step(self, pick, path, off, spent, fail):
        step = self.step(pick, path, off, Amounts())
        failure = FAILURE if fail else None
        self.ask(FinishStep(step, self.world.now, failure=failure, spent=spent))

    @rule(pick=picks, off=st.sampled_from([0, 0, 0, 1]), taint=st.sampled_from([(), ("web",)]))
    def copy_step(self, pick, off, taint):
        states = self.world.state.agents()
        roots = [root for root, known in states.items() if known.copies_from]
        task = task_id(self.pick(roots, pick, NOBODY), 0)
        step = self.world.step(task)
        origin = self.world.log[pick % len(self.world.log)].id
        ordinal = max(0, step.ordinal - off)
        self.ask(CopyStep(task, step.fence, "root", ordinal, "noop", origin, False, taint))

    @rule(pick=picks, spent=amounts, read=st.booleans())
    def do_harmless_step(self, pick, spent, read):
        task = self.task(pick, "running")
        mail = list(self.world.state.mailbox(agent_of(task))) if read else []
        step = self.world.step(task, message=mail[0] if mail else None)
        self.ask(FinishStep(step, self.world.now, spent=spent))

    # Everything else

    @rule(pick=picks)
    def send(self, pick):
        self.ask(SendMessage(self.agent(pick), msgspec.Raw(b"1")))

    @rule(pick=picks, outcome=st.sampled_from(["approve", "deny"]))
    def request(self, pick, outcome):
        task = self.task(pick, "running")
        self.ask(
            RequestApproval(
                task,
                self.fence(task, 0),
                "noop",
                digest(b"{}"),
                "?",
                self.world.now + LEASE,
                outcome,
            )
        )

    @rule(pick=picks)
    def inquire(self, pick):
        task, expires = self.task(pick, "running"), self.world.now + LEASE
        bound, form = digest(b"{}"), msgspec.Raw(b'{"type":"integer"}')
        fence = self.fence(task, 0)
        self.ask(RequestApproval(task, fence, "noop", bound, "?", expires, form=form))

    @rule(
        pick=picks,
        decision=st.sampled_from(["approve", "approve", "deny"]),
        answer=st.sampled_from([b"null", b"7", b'"seven"']),
    )
    def resolve(self, pick, decision, answer):
        approval = self.pick(self.world.state.approvals, pick, NOTHING)
        known = self.world.state.approvals.get(approval)
        raw = msgspec.Raw(answer)
        self.ask(ResolveApproval(approval, decision, answer=raw), self.human)
        now = self.world.state.approvals.get(approval)
        if known is not None and now is not None and now.event != known.event:
            wanted = known.inquiry is not msgspec.UNSET and decision == "approve"
            assert answer == (b"7" if wanted else b"null")

    @rule(pick=picks)
    def expire(self, pick):
        self.ask(ExpireApproval(self.pick(self.world.state.approvals, pick, NOTHING)))

    @rule(pick=picks, some=amounts)
    def reserve(self, pick, some):
        self.ask(ReserveBudget(self.agent(pick), some))

    @rule(pick=picks, spent=amounts)
    def settle(self, pick, spent):
        self.ask(SettleBudget(self.pick(self.world.state.reservations, pick, NOTHING), spent))

    @rule()
    def crash_and_recover(self):
        self.world.state = restore(snapshot(self.world.state))

    # Laws

    @invariant()
    def budgets_are_conserved(self):
        for root, family in self.world.state.families.items():
            living = {path: agent for path, agent in family.agents.items() if not agent.ended}
            drawn: defaultdict[str | None, tuple[int, int, int]] = defaultdict(plus)
            for path, agent in living.items():
                drawn[parent_of(path)] = plus(drawn[parent_of(path)], agent.account.drawn)
            for path, agent in living.items():
                assert values(agent.account.granted) == drawn[path]
                assert values(agent.account.reserved) == self.set_aside(path, agent)
            accounts = [agent.account for agent in living.values()]
            total = plus(*(values(account.spent) for account in accounts))
            assert total == self.spent[root]
            self.adds_up(values(living[root].account.limit), accounts)

    def adds_up(self, root_limits, accounts):
        for index, root_limit in enumerate(root_limits):
            if root_limit is not None:
                left = sum(account.available[index] or 0 for account in accounts)
                aside = sum(values(account.reserved)[index] for account in accounts)
                spent = sum(values(account.spent)[index] for account in accounts)
                assert left + aside + spent == root_limit

    def set_aside(self, path, agent):
        state = self.world.state
        held = [state.reservations[each].amounts for each in agent.reservations]
        for task in state.tasks(path).values():
            held += [step.estimate for step in task.started.values()]
        return plus(*(values(each) for each in held))

    @invariant()
    def tokens_pay_for_all_that_is_done_under_them(self):
        state = self.world.state
        agents = state.agents()
        started = [
            step
            for family in state.families.values()
            for task in family.tasks.values()
            for step in task.started.values()
        ]
        for name, known in state.accounts.items():
            sponsored = {p: agent for p, agent in agents.items() if name in agent.payers}
            living = {path: agent for path, agent in sponsored.items() if not agent.ended}
            drawn = plus(*(agent.account.drawn for agent in living.values()))
            aside = [step.estimate for step in started if name in step.payers]
            held = state.reservations.values()
            aside += [each.amounts for each in held if name in each.payers]
            below = [self.spent_below(agents, path) for path in living]
            assert known.agents == len(sponsored)
            assert values(known.account.granted) == drawn
            assert values(known.account.reserved) == plus(*(values(each) for each in aside))
            assert plus(values(known.account.spent), *below) == self.paid[name]

    def spent_below(self, agents, path):
        branch = [agent for at, agent in agents.items() if f"{at}/".startswith(f"{path}/")]
        return plus(*(values(agent.account.spent) for agent in branch if not agent.ended))

    @invariant()
    def counts_agree_with_what_they_count(self):
        state = self.world.state
        approvals, reservations = [], []
        for path, agent in state.agents().items():
            phases = [task.phase for task in state.tasks(path).values()]
            assert agent.queued == phases.count("queued")
            assert agent.running == phases.count("running")
            assert agent.failed == phases.count("failed") + phases.count("cancelled")
            running = [task for task in state.tasks(path).values() if task.phase == "running"]
            assert agent.asking == sum(task.asking > 0 for task in running)
            below = [other for other in state.agents() if parent_of(other) == path]
            assert agent.children == sum(not state.agent(other).ended for other in below)
            reservations += agent.reservations
            for task in state.tasks(path).values():
                approvals += task.approvals
                open_asks = [state.approvals[each].answer is None for each in task.approvals]
                assert task.asking == sum(open_asks)
        assert sorted(approvals) == sorted(state.approvals)
        assert sorted(reservations) == sorted(state.reservations)

    def teardown(self):
        world = self.world
        assert world.replayed() == world.state
        assert world.replayed().digest() == world.state.digest()
        self.replay_from_any_snapshot()
        check_leases(world.log)
        check_steps(world.log)
        check_approvals(world.log)
        check_causes(world.log)

    def replay_from_any_snapshot(self):
        state = EMPTY_STATE
        for number, event in enumerate(self.world.log):
            state = self.world.kernel.evolve(state, event)
            if number % 7 == 0:
                state = restore(snapshot(state))
        assert state.digest() == self.world.state.digest()


def check_leases(log):
    """A task changes hands only when its lease is over; fences rise; nothing comes from before."""
    fences, leases, epoch = defaultdict(int), {}, 0
    for event in log:
        body, kind = event.body, event.kind
        key = (event.stream, getattr(body, "task", None))
        if kind == "host.opened.v1":
            assert body.epoch == epoch + 1
            epoch = body.epoch
        elif kind == "task.started.v1":
            assert body.fence == fences[key] + 1
            if key in leases:
                holder, expires, under = leases[key]
                assert body.holder == holder or expires <= event.time or under != epoch
            fences[key] = body.fence
            leases[key] = (body.holder, body.expires, epoch)
        elif kind == "lease.renewed.v1":
            leases[key] = (leases[key][0], body.expires, leases[key][2])
        elif kind in ("task.released.v1", "task.retried.v1"):
            del leases[key]
        if hasattr(body, "fence"):
            assert body.fence == fences[key]
        if kind.startswith("step.") or kind in ("task.completed.v1", "task.failed.v1"):
            assert leases[key][2] == epoch
        if kind in ("task.completed.v1", "task.failed.v1", "task.cancelled.v1"):
            leases.pop(key, None)


def check_steps(log):
    """Within an attempt every path counts its outcomes from 0, and each has one start."""
    attempts, outcomes, starts = defaultdict(int), defaultdict(list), defaultdict(set)
    for event in log:
        body, kind = event.body, event.kind
        task = (event.stream, getattr(body, "task", None))
        if kind in ("task.retried.v1", "task.revived.v1"):
            attempts[task] += 1
        if not kind.startswith("step."):
            continue
        key = (*task, attempts[task], body.path)
        if kind == "step.started.v1":
            assert body.ordinal not in starts[key]
            starts[key].add(body.ordinal)
        elif kind == "step.copied.v1":
            assert body.ordinal not in starts[key]
            outcomes[key].append(body.ordinal)
        elif kind != "step.repeated.v1":
            assert (body.intent is None) == (body.ordinal in starts[key])
            outcomes[key].append(body.ordinal)
    for ordinals in outcomes.values():
        assert ordinals == list(range(len(ordinals)))


def check_approvals(log):
    """Every approval is answered once and consumed once, after a yes, together with its effect."""
    answers, consumed, named = {}, [], []
    for event in log:
        body, kind = event.body, event.kind
        if kind in ("approval.resolved.v1", "approval.expired.v1"):
            assert body.approval not in answers
            answers[body.approval] = body.decision
        elif kind == "approval.consumed.v1":
            assert answers[body.approval] == "approve"
            consumed.append(body.approval)
        intent = getattr(body, "intent", None)
        if intent is not None and intent.terms is not None and intent.terms.approval:
            named.append(intent.terms.approval)
    assert len(consumed) == len(set(consumed))
    assert consumed == named


def check_causes(log):
    """Causes come before their effects, in the same family, and lead back to something spawned."""
    known = {}
    for event in log:
        for parent in event.parents:
            assert parent in known
        if event.stream not in ("tokens", "hosts") and event.kind != "agent.spawned.v1":
            assert event.parents
        if event.kind not in ("token.admitted.v1", "host.opened.v1"):
            assert event.intent == event.stream.partition("/")[0]
        known[event.id] = event


def test_the_laws_hold(make_world):
    Laws.make_world = make_world
    run_state_machine_as_test(
        Laws,
        settings=settings(
            max_examples=80,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
