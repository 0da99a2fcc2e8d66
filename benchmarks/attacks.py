"""Attempts made from inside a container of each sandbox, beside another one that is timed; the last line is one JSON object.

`contained` counts those that were refused, `harmed_neighbours` those beside which another container got slower or ended, a fresh
one could not start, or something of the machine's was changed. The catalogue is that of tests/security/test_attacks.py.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.support.attacks.run import KINDS, NoStageError, run_stage

from benchmarks.harness import report


def count(findings: dict[str, dict[str, Any]]) -> dict[str, int]:
    """Return how many attempts were made, and what came of them."""
    return {
        "tried": len(findings),
        "contained": sum(finding["contained"] for finding in findings.values()),
        "harmed_neighbours": sum(finding["harmed"] for finding in findings.values()),
    }


def show(kind: str, findings: dict[str, dict[str, Any]]) -> None:
    """Say which attempts got through or did harm."""
    for name, finding in findings.items():
        if finding["harmed"] or not finding["contained"]:
            print(f"{kind}: {name}: {finding}", file=sys.stderr, flush=True)


def main() -> None:
    """Make every attempt on every sandbox that is here."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", choices=KINDS, action="append")
    counts: dict[str, dict[str, int]] = {}
    rows: dict[str, dict[str, str]] = {}
    for kind in parser.parse_args().runtime or KINDS:
        with tempfile.TemporaryDirectory(prefix="offload-attacks-") as folder:
            try:
                findings = run_stage(kind, Path(folder))
            except NoStageError as error:
                print(f"{kind}: {error}", file=sys.stderr)
                continue
        show(kind, findings)
        counts[kind] = count(findings)
        timed = {
            key: statistics.median(each[key] for each in findings.values())
            for key in ("quiet_ms", "during_ms")
        }
        rows[kind] = {
            **{key: str(value) for key, value in counts[kind].items()},
            **{f"neighbour, {key}": f"{value:.1f}" for key, value in timed.items()},
        }
    names = ("tried", "contained", "harmed_neighbours")
    total: dict[str, object] = {name: sum(each[name] for each in counts.values()) for name in names}
    report("Attempts from inside", rows, total | counts)


if __name__ == "__main__":
    main()
