"""Makes the attempts on one runtime, through the SDK and a whole stack, and prints one JSON object of findings.

A program, because it runs on a machine of its own: `unshare … python -m tests.support.attacks.stage KIND FOLDER [NAME…]`. Beside
the attempts another container answers, and its answers are timed. KIND is "bubblewrap", "forked", "gvisor", "docker", or "process": without
any sandbox all that is refused elsewhere must succeed.
"""

# The functions below run in containers, and what they import they import there.
# ruff: noqa: T201, PLC0415, PTH123, S102, S108, TID251

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import sys
import threading
import time
from pathlib import Path

from tests.support.attacks.attempt import PRELUDE, Attempt
from tests.support.attacks.catalogue import ATTEMPTS
from tests.support.attacks.floods import SMALL_MIB
from tests.support.attacks.pace import how_busy, is_slower
from tests.support.attacks.world import (
    ANSWERED,
    World,
    a_world,
    is_left_behind,
    token_facts,
)
from tests.support.docker_daemon import docker_daemon
from tests.support.site import Site, running_site

import offload
from offload import errors

_QUIET_ANSWERS = 15
_NEIGHBOURS_PORT = 7777
_KNOWN = "kept by the neighbour"

_TRIES = 3

# So many are made in one container, one after the other, where none of them is to be alone.
_TOGETHER = 12

# Does what every attempt does beside: a container starts, runs and ends.
_INNOCENT = Attempt("nothing", "pass")

Finding = dict[str, object]


def attack(sources, facts):
    """Run attempts, each in a process of its own where there are several; return what came of each."""
    if len(sources) == 1:
        return [attack_once(sources[0], facts)]
    findings = []
    for source in sources:
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(ours)
                os.write(theirs, json.dumps(attack_once(source, facts)).encode())
            finally:  # nothing may return into the runner's code
                os._exit(0)
        os.close(theirs)
        with open(ours, "rb") as file:
            said = file.read()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        nothing = {"got": "", "refusal": "", "ended": f"its process ended with {status}"}
        findings.append(json.loads(said) if said else nothing)
    return findings


def attack_once(source, facts):
    """Run an attempt; return what it got, in words, and the kernel that it got it from."""
    space = dict(facts)
    refusal = ""
    try:
        exec(source, space)
    except Exception as error:  # any refusal is one
        if type(error).__name__ == "Explosive":
            raise
        refusal = f"{type(error).__name__}: {error}"
    got = space.get("got")
    return {
        # What was read is nobody's business: that it could be is enough.
        "got": f"{len(got)} bytes"
        if isinstance(got, bytes) and got
        else repr(got)[:300]
        if got
        else "",
        "refusal": refusal,
        "kernel": os.uname().version,
    }


def is_forked():
    """Tell whether this container comes from a template: its parent is outside of its pid namespace."""
    return os.getppid() == 0


def neighbour(name):
    """Answer; the first time, become what others would like to have."""
    import ctypes
    import socket
    import threading

    kept = neighbour.__dict__
    if "address" not in kept:
        ctypes.CDLL(None).prctl(15, name.encode(), 0, 0, 0)
        kept["known"] = (_KNOWN + " ") * 1000
        for folder in ("/tmp", "/dev/shm"):
            with open(f"{folder}/neighbours-secret", "w") as file:
                file.write(_KNOWN)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(("10.98.0.1", 9))
            kept["address"] = sock.getsockname()[0]
        server = socket.create_server(("", _NEIGHBOURS_PORT))

        def serve():
            while True:
                client, _ = server.accept()
                client.sendall(b"neighbour")
                client.close()

        threading.Thread(target=serve, daemon=True).start()
    return [kept["address"], os.environ["OFFLOAD_CONTAINER_ID"]]


def fresh():
    """Find a name: a container that has just started, and its network, work."""
    import socket

    return socket.gethostbyname("alive.example")


def patient():
    """Wait to be ended."""
    import threading

    threading.Event().wait(600)


class Stage:
    """One runtime's functions on one stack."""

    def __init__(self, kind: str, world: World, site: Site) -> None:
        self.kind, self.world, self._site = kind, world, site
        self.app = offload.App(f"attacks-{kind}")
        runtime = "bubblewrap" if kind == "forked" else kind
        options = {"runtime": runtime, "cpu": 0.1, "timeout": 300.0}
        once = {**options, "single_use_containers": True}
        small = 8192 if kind == "process" else SMALL_MIB
        large = 8192 if kind == "process" else 1024
        make = self.app.function
        self._attacks = {
            (is_blocked, is_small): make(
                name=f"attack-{is_blocked}-{is_small}",
                block_network=is_blocked and kind != "process",
                memory=small if is_small else large,
                **once,
            )(attack)
            for is_blocked, is_small in ((False, False), (True, False), (False, True))
        }
        self._is_forked = make(**once)(is_forked)
        self._neighbour = make(max_containers=1, **options)(neighbour)
        self._fresh = make(**once)(fresh)
        self._patient = make(**options)(patient)
        self._name = f"nb-{os.getpid()}"

    def prepare(self) -> None:
        """Have the neighbour up, and templates where they are wanted; tell attempts where everything is."""
        address, self._neighbours_id = self._neighbour.remote(self._name)
        self._patients = self._patient.spawn()
        facts = self.world.facts
        worker = self._site.workers["w"].pid
        assert self._site.server is not None
        self._platforms_pids = {str(worker), str(self._site.server.pid)}
        facts |= {
            "data_dir": str(self._site.data_dir),
            "platform_port": int(self._site.url.rpartition(":")[2]),
            "neighbour_address": address,
            "neighbour_port": _NEIGHBOURS_PORT,
            "neighbour_pid": _pid_of(self._name) or facts["victim_pid"],
            "worker_pid": worker,
            "other_input": f"in-{self._patients.object_id[3:]}-0",
            "without_walls": self.kind == "process",
            **token_facts(self._site.token),
        }
        if self.kind == "forked":
            for function in (self._is_forked, *self._attacks.values()):
                self._wait_for_a_template(function)
        assert self._fresh.remote() == ANSWERED

    def _wait_for_a_template(self, function: object) -> None:
        source = "got = os.getppid() == 0"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            forked = (
                function.remote()
                if function is self._is_forked
                else function.remote([PRELUDE + source], {})[0]["got"]
            )
            if forked:
                return
        raise AssertionError("no template was made within a minute")

    def make(self, attempts: list[Attempt]) -> list[Finding]:
        """Make attempts of one kind of container beside the neighbour; return what came of each.

        Where the neighbour was slow each of them is made again alone, and after an innocent one: the machine has others to serve, and
        what is slow each time is slow because of the attempt. Without walls nobody asks.
        """
        findings = self._make(attempts)
        is_slower = any(finding["slower"] and not finding["harmed"] for finding in findings)
        if is_slower and self.kind != "process":
            findings = [self._again(*each) for each in zip(attempts, findings, strict=True)]
        for finding in findings:
            finding["harmed"] = finding["harmed"] or finding["slower"]
        return findings

    def _again(self, attempt: Attempt, finding: Finding) -> Finding:
        for _ in range(_TRIES - 1):
            [innocent], [again] = self._make([_INNOCENT]), self._make([attempt])
            again["contained"] = again["contained"] and finding["contained"]
            again["slower"] = is_slower(innocent, again)
            finding = again
            if finding["harmed"] or not finding["slower"]:
                break
        return finding

    def _make(self, attempts: list[Attempt]) -> list[Finding]:
        busy_before = how_busy()
        quiet = [self._ask() for _ in range(_QUIET_ANSWERS)]
        measured: Finding = {}
        done = threading.Event()
        answers: list[float] = []
        beside = threading.Thread(target=self._keep_asking, args=(done, answers, measured))
        beside.start()
        began = time.monotonic()
        findings = self._attack(attempts)
        measured["seconds"] = round(time.monotonic() - began, 2)
        done.set()
        beside.join()
        after = self._ask_fresh()
        before_ms, during_ms = statistics.median(quiet), statistics.median(answers or [0.0])
        measured |= {
            "quiet_ms": round(before_ms, 2),
            "during_ms": round(during_ms, 2),
            "worst_ms": round(max(answers, default=0.0), 1),
            "answers": len(answers),
            "fresh": after,
            "busy": round(max(busy_before, how_busy()), 1),
        }
        measured["slower"] = is_slower({"during_ms": before_ms, "worst_ms": 0.0}, measured)
        measured["harmed"] = bool(after or measured.get("neighbour") or not self.world.is_unharmed)
        return [finding | measured for finding in findings]

    def end(self) -> None:
        """End what is still running."""
        self._patients.cancel()

    def _attack(self, attempts: list[Attempt]) -> list[Finding]:
        function = self._attacks[attempts[0].is_blocked, attempts[0].is_small]
        sources = [PRELUDE + attempt.program for attempt in attempts]
        findings: list[Finding] = [{"got": "", "refusal": ""} for _ in attempts]
        try:
            findings = function.remote(sources, self.world.facts)
        except (errors.ContainerExitError, errors.OutOfMemoryError) as error:
            for finding in findings:
                finding["ended"] = f"{type(error).__name__}: {str(error)[:200]}"
        except Exception as error:  # noqa: BLE001  # the user's own, brought back
            for finding in findings:
                finding["raised"] = f"{type(error).__name__}: {str(error)[:200]}"
        outside = self._got_outside()
        for attempt, finding in zip(attempts, findings, strict=True):
            if len(attempts) == 1:
                finding["got"] = outside or finding["got"]
            # Whose it is where there are several nobody knows: then all of them have failed, and none has succeeded.
            finding["contained"] = _is_contained(attempt, finding) and not outside
        return findings

    def _got_outside(self) -> str:
        """Tell what an attempt has left on the machine or done to the platform."""
        left_behind = int(str(self.world.facts["left_behind"]))
        if is_left_behind(left_behind, has_walls=self.kind != "process"):
            return "a process outlived its container"
        marker = Path(str(self.world.facts["marker"]))
        exploded = {path.name.rpartition("-")[2] for path in marker.parent.glob("exploded-*")}
        if exploded & self._platforms_pids:
            return "the platform unpickled a bomb"
        with contextlib.suppress(TimeoutError):
            return f"another input ended: {self._patients.get(timeout=0)!r}"
        return ""

    def _keep_asking(self, done: threading.Event, answers: list[float], finding: Finding) -> None:
        while not done.wait(0.004):
            try:
                answers.append(self._ask())
            except Exception as error:  # noqa: BLE001  # whatever it is, the neighbour has suffered
                finding["neighbour"] = f"{type(error).__name__}: {error}"
                return

    def _ask(self) -> float:
        began = time.perf_counter()
        _, container_id = self._neighbour.remote(self._name)
        took = (time.perf_counter() - began) * 1e3
        if container_id != self._neighbours_id:
            raise AssertionError("the neighbour's container was ended")
        return took

    def _ask_fresh(self) -> str:
        """Return what is wrong with a fresh container."""
        try:
            answer = self._fresh.remote()
        except Exception as error:  # noqa: BLE001  # whatever it is, it was to start
            return f"{type(error).__name__}: {error}"
        return "" if answer == ANSWERED else f"it found {answer}"


def _is_contained(attempt: Attempt, finding: Finding) -> bool:
    is_own_kernels = attempt.is_kernels and finding.get("kernel") not in (None, os.uname().version)
    is_bad_end = "ended" in finding and not attempt.may_end
    is_bad_raise = "raised" in finding and "bomb" not in attempt.name and not attempt.may_end
    return not ((finding["got"] and not is_own_kernels) or is_bad_end or is_bad_raise)


def _together(attempts: list[Attempt]) -> list[list[Attempt]]:
    """Put attempts together that can be made in one container."""
    made: list[list[Attempt]] = []
    for is_blocked in (False, True):
        quiet = [a for a in attempts if a.is_blocked == is_blocked and not _is_alone(a)]
        made += [quiet[at : at + _TOGETHER] for at in range(0, len(quiet), _TOGETHER)]
    return made + [[attempt] for attempt in attempts if _is_alone(attempt)]


def _is_alone(attempt: Attempt) -> bool:
    return attempt.is_alone or attempt.is_small or attempt.may_end


def _pid_of(name: str) -> int | None:
    for path in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if path.read_text().strip() == name:
                return int(path.parent.name)
    return None


def play(kind: str, folder: Path, names: list[str]) -> dict[str, Finding]:
    """Make the named attempts, all of them where none is named."""
    with contextlib.ExitStack() as held:
        world = held.enter_context(a_world(folder))
        site = held.enter_context(running_site(folder / "site"))
        if kind == "docker":
            engine = held.enter_context(docker_daemon(shares_network=True))
            site.user.extra["DOCKER_HOST"] = f"unix://{engine}"
            world.facts["engine_sockets"] = [engine]
        options = ("--runtime", "process") if kind == "process" else ()
        templates = "8" if kind == "forked" else "0"
        site.start_worker("w", "--templates", templates, *options)
        stage = Stage(kind, world, site)
        with site.calls(), stage.app.run(show_output=False):
            stage.prepare()
            findings = {}
            for attempts in _together([ATTEMPTS[name] for name in names or ATTEMPTS]):
                made = zip(attempts, stage.make(attempts), strict=True)
                findings |= {attempt.name: finding for attempt, finding in made}
                for attempt in attempts:
                    said = json.dumps(findings[attempt.name])
                    print(f"{attempt.name}: {said}", file=sys.stderr, flush=True)
            stage.end()
    return findings


if __name__ == "__main__":
    # What it has started ends with it, also where somebody loses patience.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended before its time"))
    print("\n" + json.dumps(play(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])))
