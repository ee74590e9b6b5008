import anyio
import pytest

from toka.performance import Queues, TelemetryError, watch_event_loop

pytestmark = pytest.mark.anyio


class LateClock:
    """A clock that wakes later than asked: by 3 ms, by 70 ms, then never."""

    def __init__(self):
        self.time = 0
        self.late = [3_000_000, 70_000_000]
        self.asked = []

    def now(self):
        raise AssertionError("the time of day plays no part here")

    def monotonic(self):
        return self.time

    async def sleep(self, nanoseconds):
        self.asked.append(nanoseconds)
        if not self.late:
            await anyio.sleep_forever()
        self.time += nanoseconds + self.late.pop(0)


async def test_what_the_loop_is_late_is_measured(observed):
    running, _, _ = observed()
    clock = LateClock()
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: watch_event_loop(running.meter("m"), interval=1000, clock=clock))
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()

    text = running.metrics_text()
    assert 'toka_event_loop_lag_seconds_bucket{le="0.001"} 0' in text
    assert 'toka_event_loop_lag_seconds_bucket{le="0.005"} 1' in text
    assert 'toka_event_loop_lag_seconds_bucket{le="0.1"} 2' in text
    assert clock.asked == [1000] * 3


async def test_queues_are_measured_while_they_are_watched(observed):
    running, _, _ = observed()
    queues = Queues(running.meter("m"))
    mail = [1, 2]
    with queues.watched("mail", lambda: len(mail), 10), queues.watched("log", lambda: 0):
        assert 'toka_queue_depth{queue="mail"} 2' in running.metrics_text()
        mail.append(3)
        text = running.metrics_text()

    assert 'toka_queue_depth{queue="mail"} 3' in text
    assert 'toka_queue_depth{queue="log"} 0' in text
    assert 'toka_queue_capacity{queue="mail"} 10' in text
    assert 'toka_queue_capacity{queue="log"}' not in text
    assert 'queue="mail"' not in running.metrics_text()


async def test_a_name_is_watched_once(observed):
    running, _, _ = observed()
    queues = Queues(running.meter("m"))
    with (
        queues.watched("mail", lambda: 1),
        pytest.raises(TelemetryError, match="already"),
        queues.watched("mail", lambda: 2),
    ):
        pass
