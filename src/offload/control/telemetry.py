"""What the server says of itself: structured log lines and Prometheus metrics."""

from __future__ import annotations

import json
import logging
import sys
from collections import Counter as Tally
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Load:
    """How much there is of everything at this moment."""

    pending: int = 0
    running: int = 0
    containers: int = 0
    workers: int = 0
    backlog: int = 0


class Telemetry:
    """Counts in plain integers on the hot path; turned into metrics when somebody asks."""

    def __init__(self) -> None:
        self.inputs: Tally[str] = Tally()  # by final state
        self.requests: Tally[str] = Tally()  # by method
        self.read_load: Callable[[], Load] = Load
        self._registry = CollectorRegistry()
        self._commits = Histogram(
            "offload_journal_commit_seconds",
            "How long the store took to commit one group of records.",
            registry=self._registry,
            buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5),
        )
        self._records = 0
        self._registry.register(_Totals(self))

    def observe_commit(self, seconds: float, records: int) -> None:
        """Count one commit of the journal."""
        self._commits.observe(seconds)
        self._records += records

    def metrics(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)

    def totals(self) -> Iterable[Metric]:
        """Yield what is counted outside the registry."""
        inputs = CounterMetricFamily(
            "offload_inputs", "Inputs that reached their outcome.", labels=["state"]
        )
        for state, count in self.inputs.items():
            inputs.add_metric([state], count)
        requests = CounterMetricFamily(
            "offload_requests", "Requests received, on any carrier.", labels=["method"]
        )
        for method, count in self.requests.items():
            requests.add_metric([method], count)
        yield inputs
        yield requests
        yield CounterMetricFamily(
            "offload_journal_records", "Records written to the store.", value=self._records
        )
        load = self.read_load()
        for name, text, value in (
            ("offload_inputs_pending", "Inputs that wait for a container.", load.pending),
            ("offload_inputs_running", "Inputs given to a worker.", load.running),
            ("offload_containers", "Containers, starting ones included.", load.containers),
            ("offload_workers", "Workers with an open session.", load.workers),
            ("offload_journal_backlog", "Records not yet on disk.", load.backlog),
        ):
            yield GaugeMetricFamily(name, text, value=value)


class _Totals(Collector):
    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def collect(self) -> Iterable[Metric]:
        return self._telemetry.totals()


def log_event(logger: logging.Logger, level: int, event: str, **fields: object) -> None:
    """Log a constant event name with ids and numbers as fields."""
    logger.log(level, event, extra={"fields": fields})


class _LineFormatter(logging.Formatter):
    """`2026-01-31T12:00:00 INFO worker_joined worker_id="wk-1"`: one line, values as JSON."""

    def format(self, record: logging.LogRecord) -> str:
        fields: object = getattr(record, "fields", None)
        parts = [
            self.formatTime(record, "%Y-%m-%dT%H:%M:%S"),
            record.levelname,
            record.getMessage(),
        ]
        if isinstance(fields, dict):
            parts += [f"{key}={json.dumps(value, default=str)}" for key, value in fields.items()]
        line = " ".join(parts)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up_logging(level: str) -> None:
    """Send the server's events of `level` ("debug" … "error") and above to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LineFormatter())
    logger = logging.getLogger("offload")
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
