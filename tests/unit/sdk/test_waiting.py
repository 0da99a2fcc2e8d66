"""A program that waits is told why, once."""

from offload.sdk.values import PoolProgress
from offload.sdk.waiting import NOTICE_SECONDS, Waiting


class Lines:
    def __init__(self):
        self.texts = []

    def line(self, line):
        self.texts.append(f"{line.function_name}: {line.text}")

    def progress(self, pools):
        pass


def a_pool(pending=3, running=0, finished=0, reason="no worker is connected", is_impossible=False):
    return PoolProgress("fu-1", "square", 0, 0, pending, running, finished, reason, is_impossible)


def test_inputs_that_wait_long_are_mentioned_once_with_their_reason():
    shown = Lines()
    waiting = Waiting(shown)
    waiting.progress([a_pool()])

    for now in (0.0, NOTICE_SECONDS - 1, NOTICE_SECONDS, NOTICE_SECONDS * 5):
        waiting.look(now)

    assert len(shown.texts) == 1
    assert shown.texts[0].startswith("square: 3 inputs wait for more than 10 s: no worker is conn")


def test_inputs_that_move_on_are_not_mentioned():
    shown = Lines()
    waiting = Waiting(shown)

    for step in range(20):
        waiting.progress([a_pool(finished=step)])
        waiting.look(step * NOTICE_SECONDS)

    assert shown.texts == []


def test_inputs_behind_one_that_runs_are_not_mentioned():
    shown = Lines()
    waiting = Waiting(shown)
    waiting.progress([a_pool(running=1)])

    waiting.look(0.0)
    waiting.look(NOTICE_SECONDS * 2)

    assert shown.texts == []


def test_what_no_worker_can_ever_run_is_mentioned_at_once():
    shown = Lines()
    waiting = Waiting(shown)
    waiting.progress(
        [a_pool(reason="no worker can ever run it: needs 64 cpus", is_impossible=True)]
    )

    waiting.look(0.0)
    waiting.look(NOTICE_SECONDS * 2)

    assert len(shown.texts) == 1
    assert shown.texts[0].startswith("square: 3 inputs wait: no worker can ever run it: needs 64")
