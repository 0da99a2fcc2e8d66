"""Who writes what to the worker, and when."""

from __future__ import annotations

import socket
import threading

from offload.runner.outbox import Outbox
from offload.wire import guest


def test_what_is_to_be_out_now_waits_for_a_thread_that_writes_already() -> None:
    ours, workers = socket.socketpair()
    outbox = Outbox(ours)
    outbox._lock.acquire()  # as another thread does that writes
    outbox.post(guest.Output("in-1", "stdout", "last words"))
    flushing = threading.Thread(target=lambda: outbox.flush(wait=False, patience_seconds=60))

    flushing.start()
    outbox._lock.release()
    flushing.join()

    assert b"last words" in workers.recv(4096)
    ours.close()
    workers.close()


def test_nobody_waits_without_patience() -> None:
    ours, workers = socket.socketpair()
    outbox = Outbox(ours)
    outbox._lock.acquire()
    outbox.post(guest.Output("in-1", "stdout", "later"))

    outbox.flush(wait=False)

    assert not outbox.is_empty
    ours.close()
    workers.close()
