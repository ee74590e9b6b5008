import json

from toka.rate_limiter import (
    MINUTE,
    SECOND,
    Algorithm,
    Decision,
    Limit,
    Limiter,
    MemoryStorage,
    problem,
    response_fields,
)

LIMITS = [
    Limit("burst", 2, SECOND, algorithm=Algorithm.FIXED_WINDOW),
    Limit("hourly", 10, 90 * SECOND // 60, algorithm=Algorithm.FIXED_WINDOW),
    Limit("trial", 1, MINUTE, shadow=True),
]


def test_an_admitted_request_learns_where_it_stands(clock):
    fields = response_fields(Limiter(LIMITS, MemoryStorage(clock)).hit({"key": "a"}))
    assert fields == {
        "RateLimit-Policy": '"burst";q=2;w=1, "hourly";q=10;w=2',
        "RateLimit": '"burst";r=1;t=1, "hourly";r=9;t=2',
    }


def test_a_refused_request_learns_when_to_come_back(clock):
    limiter = Limiter([Limit("slow", 1, MINUTE)], MemoryStorage(clock))
    limiter.hit({"key": "a"})
    clock.advance(1)
    decision = limiter.hit({"key": "a"})
    fields = response_fields(decision)
    assert fields["RateLimit"] == '"slow";r=0;t=60'
    assert fields["Retry-After"] == "60"
    status, body = problem(decision)
    assert status == 429
    assert json.loads(body) == {
        "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
        "title": "The quota has been exceeded.",
        "status": 429,
        "violated-policies": ["slow"],
    }


def test_a_wait_below_a_second_is_a_second(clock):
    limiter = Limiter([Limit("fast", 1_000, SECOND)], MemoryStorage(clock))
    limiter.hit({"key": "a"}, 1_000)
    assert response_fields(limiter.hit({"key": "a"}))["Retry-After"] == "1"


def test_a_cost_that_never_fits_has_no_time_to_come_back(clock):
    limiter = Limiter([Limit("x", 5, MINUTE)], MemoryStorage(clock))
    assert "Retry-After" not in response_fields(limiter.hit({"key": "a"}, 6))


def test_an_outage_is_not_the_client_s_fault():
    status, body = problem(Decision(False, (), True))
    assert status == 503
    assert json.loads(body)["violated-policies"] == []
    assert response_fields(Decision(False, (), True)) == {"Retry-After": "1"}
