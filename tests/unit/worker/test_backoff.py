"""When a worker dials again."""

from __future__ import annotations

from offload.worker.link.backoff import MAX_SECONDS, Backoff


def delays(count: int, draw: float) -> list[float]:
    backoff = Backoff(lambda: draw)
    return [backoff.next_seconds() for _ in range(count)]


def test_the_first_delays_are_short_and_none_is_longer_than_a_second() -> None:
    assert delays(7, draw=1.0) == [0.05, 0.1, 0.2, 0.4, 0.8, MAX_SECONDS, MAX_SECONDS]


def test_a_worker_waits_at_least_half_as_long() -> None:
    assert delays(7, draw=0.0) == [0.025, 0.05, 0.1, 0.2, 0.4, 0.5, 0.5]


def test_a_server_that_is_back_after_a_second_is_dialled_within_the_next() -> None:
    """Whatever is drawn: so that a restart costs a caller less than three seconds."""
    for draw in (0.0, 0.3, 0.7, 1.0):
        backoff, waited = Backoff(lambda draw=draw: draw), 0.0  # type: ignore[misc]  # bound now
        while waited < 1.0:
            waited += backoff.next_seconds()

        assert waited < 2.0
