"""What a seed draws before its run begins: functions, workers, workspaces and policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.control.core.model import (
    Capacity,
    Function,
    Gpu,
    Needs,
    RetryPolicy,
    Scaling,
    WorkerInfo,
)
from offload.control.core.policy import Policy, WorkspaceLimits

if TYPE_CHECKING:
    import random

KINDS = ("a100", "t4")


def draw_policy(rng: random.Random) -> Policy:
    """Draw what the server decides by."""
    return Policy(
        ageing_seconds=30.0,
        quarantine_seconds=5.0,
        max_losses=rng.choice((3, 3, 1)),
        packs=rng.random() < 0.3,
        resting_beyond=rng.choice((0, 0, 1000)),
        workspaces={
            "ws-1": WorkspaceLimits(weight=rng.choice((0.5, 2.0))),
            "ws-2": WorkspaceLimits(max_containers=rng.choice((0, 1, 3))),
        },
    )


def draw_function(rng: random.Random, number: int) -> Function:
    """Draw a function; as its name says, one often cannot be loaded, or has a container for each input."""
    gpus = rng.choice((0, 0, 0, 1, 2))
    needs = Needs(
        rng.choice((250, 500, 1000)),
        rng.choice((128, 1024)),
        gpus=gpus,
        gpu_kind=rng.choice(("", *KINDS)) if gpus else "",
        labels=rng.choice(((), (), (("zone", "a"),))),
    )
    scaling = Scaling(
        min_containers=rng.choice((0, 0, 1)),
        max_containers=rng.choice((0, 0, 2)),
        buffer_containers=rng.choice((0, 0, 1)),
        scaledown_window_seconds=rng.choice((0.0, 2.0, 60.0)),
    )
    name = rng.choice(("good", "good", "good", "bad", "once"))
    max_inputs = 1 if name == "once" else rng.choice((1, 1, 3, 8))
    return Function(
        f"fn-{number}",
        f"ap-{number % 2}",
        "sim",
        name,
        needs,
        timeout_seconds=rng.choice((10.0, 60.0)),
        startup_timeout_seconds=rng.choice((3.0, 30.0)),
        retries=RetryPolicy(rng.randint(0, 3), rng.choice((0.5, 8.0))),
        scaling=scaling,
        is_generator=rng.random() < 0.2,
        workspace=f"ws-{rng.randint(0, 2)}",
        max_inputs=max_inputs,
        target_inputs=rng.randint(1, max_inputs),
    )


def draw_worker(rng: random.Random, worker_id: str) -> WorkerInfo:
    """Draw a worker, which may lack what some functions need."""
    kinds = rng.choice(((), (), ("t4",), ("a100", "t4", "a100")))
    gpus = tuple(Gpu(index, kind) for index, kind in enumerate(kinds))
    capacity = Capacity(rng.choice((1000, 2000, 4000)), rng.choice((2048, 4096)), gpus)
    labels = rng.choice(({}, {"zone": "a"}))
    return WorkerInfo(worker_id, worker_id, "0", "h1", capacity, labels)


def able_worker(worker_id: str) -> WorkerInfo:
    """Return a worker on which everything can run."""
    gpus = tuple(Gpu(index, kind) for index, kind in enumerate(KINDS * 2))
    capacity = Capacity(4000, 8192, gpus)
    return WorkerInfo(worker_id, worker_id, "0", "h1", capacity, {"zone": "a"})
