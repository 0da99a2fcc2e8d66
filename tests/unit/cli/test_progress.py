"""What the progress display shows."""

import io

from rich.console import Console

from offload.cli.progress import Display, Rate
from offload.sdk.values import PoolProgress

BUSY = PoolProgress("fu-1", "parse", 1, 2, 30, 4, 1234, "")


def _shown(pool: PoolProgress, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    display = Display(console, quiet_seconds=0.0)
    display.progress([pool])
    with console.capture() as capture:
        console.print(display.render())
    return capture.get()


def test_a_function_is_one_line_of_counts() -> None:
    shown = _shown(BUSY)

    assert shown.splitlines() == [
        "parse  1,234 done, 4 running, 30 pending, 2 containers (+1 starting)"
    ]


def test_what_waits_says_why_on_the_line_below() -> None:
    stuck = BUSY._replace(inputs_running=0)

    shown = _shown(stuck._replace(waiting_reason="no worker is connected"))
    starting = _shown(stuck._replace(waiting_reason="waiting for a container: 1 starting"))

    assert shown.splitlines()[1] == "  waiting: no worker is connected"
    assert starting.splitlines()[1] == "  waiting for a container: 1 starting"


def test_where_inputs_run_the_counts_say_enough() -> None:
    shown = _shown(BUSY._replace(waiting_reason="waiting for its turn: 30 inputs"))

    assert len(shown.splitlines()) == 1


def test_a_function_with_nothing_left_to_do_is_not_shown() -> None:
    shown = _shown(BUSY._replace(inputs_pending=0, inputs_running=0))

    assert shown.strip() == ""


def test_a_narrow_terminal_folds_the_line_and_loses_nothing() -> None:
    shown = _shown(BUSY, width=30)

    assert " ".join(shown.split()) == " ".join(_shown(BUSY).split())
    assert all(len(line) <= 30 for line in shown.splitlines())


def test_the_rate_is_that_of_the_last_seconds() -> None:
    rate = Rate()
    for second in range(20):
        rate.add(100 * min(second, 10), float(second))

    assert rate.per_second() == 0.0


def test_a_steady_rate_is_shown_as_it_is() -> None:
    rate = Rate()
    for second in range(8):
        rate.add(50 * second, float(second))

    assert rate.per_second() == 50.0
