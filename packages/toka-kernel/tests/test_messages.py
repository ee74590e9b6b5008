"""Mailboxes."""

import msgspec

from toka.kernel import _decide_others
from toka.types import EntityId, FinishAgent, SendMessage, StartStep, TerminateAgent

HELLO = msgspec.Raw(b'"hello"')


def test_messages_wait_in_the_order_of_their_arrival(world, agent):
    sent = [world.do(SendMessage(agent, HELLO)).body.message for _ in range(3)]
    assert list(world.state.mailbox(agent)) == sent
    assert world.state.mailbox(EntityId("nobody")) == {}


def test_a_message_is_consumed_with_the_step_that_reads_it(world, agent, task):
    sent = world.do(SendMessage(agent, HELLO))
    step = world.step(task, message=sent.body.message)
    consumed, done = world.ask(world.finish(step))
    assert (consumed.kind, consumed.parents) == ("message.consumed.v1", (sent.id,))
    assert consumed.id in done.parents
    assert world.state.mailbox(agent) == {}
    again = world.refused(world.finish(world.step(task, message=sent.body.message)))
    assert again.code == "kernel.unknown_message"


def test_a_message_stays_until_the_outcome_of_a_started_step(world, agent, task):
    message = world.do(SendMessage(agent, HELLO)).body.message
    step = world.start(task, effect="external", message=message)
    assert list(world.state.mailbox(agent)) == [message]
    world.do(world.finish(step))
    assert world.state.mailbox(agent) == {}


def test_anothers_message_marks_the_task_that_reads_it(world, agent, task):
    sender = world.claims("01JX0000000000000000000001/other", "agent:message:**")
    message = world.do(SendMessage(agent, HELLO), sender).body.message
    event = world.do(world.finish(world.step(task, message=message)))
    assert event.body.toll.taint == ("message:01JX0000000000000000000001/other",)
    assert world.state.task(task).taint == event.body.toll.taint


def test_a_note_to_oneself_marks_nothing(world, agent, task):
    myself = world.claims(agent, f"agent:message:{agent}")
    message = world.do(SendMessage(agent, HELLO), myself).body.message
    world.do(world.finish(world.step(task, message=message)))
    assert world.state.task(task).taint == ()


def test_a_message_that_never_came_cannot_be_read(world, task):
    step = world.step(task, message=EntityId("01JX9999999999999999999999"))
    assert world.refused(StartStep(step)).code == "kernel.unknown_message"


def test_a_mailbox_is_bounded(world, agent, monkeypatch):
    monkeypatch.setattr(_decide_others, "MAX_MAILBOX_MESSAGES", 2)
    world.do(SendMessage(agent, HELLO))
    world.do(SendMessage(agent, HELLO))
    assert world.refused(SendMessage(agent, HELLO)).code == "kernel.limit_exceeded"


def test_an_ended_agent_gets_no_mail(world, root, agent):
    world.do(SendMessage(agent, HELLO))
    world.do(FinishAgent(agent))
    assert world.state.mailbox(agent) == {}
    assert world.refused(SendMessage(agent, HELLO)).code == "kernel.wrong_state"
    world.do(TerminateAgent(root, ""))
    assert world.refused(SendMessage(agent, HELLO)).code == "kernel.unknown_agent"
