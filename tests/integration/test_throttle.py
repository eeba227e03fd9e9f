"""How often a service is called: the bucket and the rest, on virtual time."""

from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.adapters.throttle import FAILURES_MAX, REST_S, Rest, TokenBucket
from orch.core.errors import ExternalError, PermanentError, TransientError
from tests.fakes.virtual_time import BACKENDS, backend_options

DOWN = TransientError("plane", "GET /", "no answer")


@pytest.fixture(params=BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return backend_options(request.param)


async def test_no_minute_holds_more_calls_than_allowed() -> None:
    bucket, taken = TokenBucket(per_minute=50, burst=10), []
    for _ in range(200):
        await bucket.take()
        taken.append(anyio.current_time())
    assert taken[9] == taken[0], "ten at once"
    assert max(sum(start <= at < start + 60 for at in taken) for start in taken) <= 50
    assert taken[-1] - taken[0] <= 60 * 200 / 40


async def test_who_asks_first_goes_first_and_who_leaves_takes_nothing() -> None:
    bucket, order = TokenBucket(per_minute=2, burst=1), []
    await bucket.take()
    scopes = [anyio.CancelScope() for _ in range(3)]

    async def ask(number: int) -> None:
        with scopes[number]:
            await bucket.take()
            order.append((number, anyio.current_time() - begun))

    begun = anyio.current_time()
    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(ask, number)
            await anyio.wait_all_tasks_blocked()
        await anyio.sleep(10)
        scopes[0].cancel()
        scopes[1].cancel()
    assert [(number, round(at)) for number, at in order] == [(2, 60)]


async def test_nobody_overtakes_one_who_waits() -> None:
    bucket, order = TokenBucket(per_minute=2, burst=1), []
    await bucket.take()
    begun = anyio.current_time()

    async def ask(name: str, after_s: float) -> None:
        await anyio.sleep_until(begun + after_s)
        await bucket.take()
        order.append(name)

    async with anyio.create_task_group() as group:
        for name, after_s in (("first", 0.0), ("second", 1.0), ("comes just before the second one's token", 119.0)):
            group.start_soon(ask, name, after_s)
    assert order == ["first", "second", "comes just before the second one's token"]


@given(st.integers(-5, 5), st.integers(-5, 5))
def test_a_bucket_that_could_exceed_its_minute_is_not_made(per_minute: int, burst: int) -> None:
    if 0 < burst < per_minute:
        TokenBucket(per_minute=per_minute, burst=burst)
    else:
        with pytest.raises(ValueError, match="a burst is at least 1"):
            TokenBucket(per_minute=per_minute, burst=burst)


async def attempt(rest: Rest, outcome: ExternalError | None) -> bool:
    """Make one call that ends in *outcome*; say whether it was sent at all."""
    await anyio.lowlevel.checkpoint()
    try:
        rest.check()
        rest.enter()
    except ExternalError:
        return False
    if outcome is None:
        rest.succeeded()
    else:
        rest.failed(outcome)
    return True


async def test_R4_a_service_that_is_away_for_a_day_is_called_once_per_half_minute() -> None:
    rest, sent = Rest(), []
    begun = anyio.current_time()
    while anyio.current_time() < begun + 86_400:
        if await attempt(rest, DOWN):
            sent.append(anyio.current_time())
        await anyio.sleep(10)
    assert len(sent) <= FAILURES_MAX + 86_400 / REST_S
    gaps = [later - earlier for earlier, later in zip(sent[FAILURES_MAX - 1 :], sent[FAILURES_MAX:], strict=False)]
    assert min(gaps) >= REST_S
    assert max(gaps) <= REST_S + 10, "and it is looked for all the time"
    await anyio.sleep(REST_S)
    assert await attempt(rest, None)
    assert all([await attempt(rest, None) for _ in range(10)]), "the first success ends it"


async def test_only_one_caller_tries_whether_it_is_back() -> None:
    rest = Rest()
    for _ in range(FAILURES_MAX):
        await attempt(rest, DOWN)
    await anyio.sleep(REST_S)
    rest.check()
    rest.enter()
    with pytest.raises(TransientError, match="not called again for 30 s"):
        rest.enter()
    rest.succeeded()
    rest.enter()


async def test_a_wait_that_the_service_asks_for_begins_with_the_first_refusal() -> None:
    rest = Rest()
    await attempt(rest, TransientError("plane", "GET /", "HTTP 429", retry_after=55))
    with pytest.raises(TransientError) as raised:
        rest.check()
    assert raised.value.retry_after == pytest.approx(55)
    await anyio.sleep(54)
    assert not await attempt(rest, None)
    await anyio.sleep(1)
    assert await attempt(rest, None)


async def test_two_failures_are_no_series_and_a_success_forgets_them() -> None:
    rest = Rest()
    for _ in range(5):
        assert [await attempt(rest, outcome) for outcome in (DOWN, DOWN, None)] == [True, True, True]


async def test_what_was_refused_for_good_stays_so_while_it_rests() -> None:
    rest = Rest()
    for _ in range(FAILURES_MAX):
        await attempt(rest, PermanentError("plane", "GET /", "the key is refused"))
    with pytest.raises(PermanentError, match=r"the key is refused \(not called again"):
        rest.check()
