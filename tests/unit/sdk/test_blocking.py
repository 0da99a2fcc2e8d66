"""What Ctrl-C does to a program that waits for the background loop."""

import asyncio
import signal
import threading

import pytest

from offload.sdk import blocking

LONG_SECONDS = (
    5.0  # what would wait for ever without the mend ends all the same, and fails the test
)


async def wait(ends):
    try:
        async with asyncio.timeout(LONG_SECONDS):
            await asyncio.Event().wait()
    except asyncio.CancelledError:
        ends.put_nowait("cancelled")
        raise
    except TimeoutError:
        ends.put_nowait("waited")


def test_an_interrupt_that_does_not_reach_the_waiting_thread_is_not_lost():
    ends = asyncio.Queue()

    async def be_interrupted():
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        await wait(ends)

    with pytest.raises(KeyboardInterrupt):
        blocking.run(be_interrupted())

    assert blocking.run(ends.get()) == "cancelled"


def test_what_is_cancelled_before_its_first_step_leaves_nothing_behind():
    ends = asyncio.Queue()
    coroutine = wait(ends)
    loop = blocking.background_loop()
    handover = blocking._Handover(
        coroutine, loop
    )  # no signal comes between these two steps on demand

    loop.call_soon_threadsafe(lambda: (handover.start(), handover.cancel()))
    for _ in range(3):
        blocking.run(asyncio.sleep(0))

    assert coroutine.cr_frame is None
    assert ends.empty()
