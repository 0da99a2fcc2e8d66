"""What the link knows of inputs that run beside one another: which waits for a place, and which have begun.

The main thread takes an input from the link before there is a place for it, because it must go on reading frames where there is
one. Until then the input has not begun: the worker may have it back.
"""

from __future__ import annotations

import time
from _thread import allocate_lock

from offload.wire import guest

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from offload.runner.cancellation import Job
    from offload.runner.outbox import Outbox


class Beside:
    """Inputs between the link and their ends. Each method may be called by any thread."""

    def __init__(self, outbox: Outbox, in_hand: dict[str, Job]) -> None:
        self._outbox = outbox
        self._in_hand = in_hand
        self._lock = allocate_lock()
        self._waiting: Job | None = None
        self._untold: dict[str, Job] = {}  # that run, by when they began

    @property
    def is_untold(self) -> bool:
        """Whether something runs of which the worker does not know."""
        return bool(self._untold)

    def wait(self, job: Job) -> None:
        """Note that the job waits for a place."""
        with self._lock:
            self._waiting = job

    def take_back(self) -> Job | None:
        """Return what waits for a place, and see to it that it does not begin."""
        with self._lock:
            job, self._waiting = self._waiting, None
            return self._drop(job) if job is not None else None

    def claim(self, job: Job) -> bool:
        """Return whether the job that waits may begin; False where it has been given back meanwhile, or is now."""
        with self._lock:
            if self._waiting is not job:
                return False
            self._waiting = None
        return self.admit(job)

    def admit(self, job: Job) -> bool:
        """Return whether a job that does not wait may begin; one that has been cancelled is given back."""
        if job.cancel is None:
            return True
        self._drop(job)
        self._outbox.add(guest.GivenBack((job.input_id,)), 64)
        return False

    def begin(self, jobs: Sequence[Job]) -> None:
        """Note that the user code of these is about to run."""
        now = time.monotonic()
        with self._lock:
            for job in jobs:
                job.began_at = now
                self._untold[job.input_id] = job
        self._outbox.wake_reader()

    def end(self, jobs: Iterable[Job]) -> None:
        """Note that these have ended; what is told of them from here on comes after."""
        with self._lock:
            for job in jobs:
                self._untold.pop(job.input_id, None)
                if self._in_hand.get(job.input_id) is job:
                    del self._in_hand[job.input_id]

    def tell_begun(self, until: float) -> None:
        """Say which inputs run that began before then, where that has not been said."""
        with self._lock:
            while self._untold:
                job = next(iter(self._untold.values()))
                if job.began_at > until:
                    break
                del self._untold[job.input_id]
                self._outbox.post(guest.Begun(job.input_id, job.attempt))

    def _drop(self, job: Job) -> Job:
        job.args.drop()
        self._in_hand.pop(job.input_id, None)
        return job
