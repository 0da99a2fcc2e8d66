"""Runs each container on a kernel of its own: gVisor's `runsc`, inside a bubblewrap sandbox, for root and for ordinary users."""

from __future__ import annotations

import os
import secrets
import select
import shutil
import socket
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from offload.worker.ports import (
    ContainerSpec,
    ContainerStartError,
    RootImage,
    RuntimeCapabilities,
    RuntimeUnavailableError,
)
from offload.worker.runtimes.bubblewrap_container import Held
from offload.worker.runtimes.bubblewrap_program import (
    CORES_ARE_NOT_LIMITED,
    describe_shared_network,
    find_bubblewrap,
)
from offload.worker.runtimes.cgroups import Cgroups, GroupLimits
from offload.worker.runtimes.ground import Ground, Spawn
from offload.worker.runtimes.gvisor_container import GvisorContainer, console_entry
from offload.worker.runtimes.host import read_host_facts
from offload.worker.runtimes.image_view import view_image
from offload.worker.runtimes.network import ContainerNetwork
from offload.worker.runtimes.packages import compile_guest, guest_packages, image_packages
from offload.worker.runtimes.pipes import Pipes
from offload.worker.runtimes.uids import UidRange
from offload.worker.runtimes.undo import finish_or_undo
from offload.worker.runtimes.volume_binds import mount_points, place, widen
from offload.worker.sandbox.guest import (
    CONTAINER_HOME,
    GUEST_ROOT,
    USER_ID,
    Enforced,
    GuestPlace,
    door_command,
    guest_command,
    guest_environment,
)
from offload.worker.sandbox.gvisor import (
    ARGUMENTS_FD,
    GATE_FD,
    STATUS_FD,
    GvisorSandbox,
    bundle,
    outer_arguments,
    runsc_command,
    user_of,
)
from offload.worker.sandbox.view import Shown

if TYPE_CHECKING:
    from offload.worker.runtimes.options import RuntimeOptions

_TRIAL_SECONDS = 20.0

# How many processes user code may have is gVisor's to hold (RLIMIT_NPROC); the group's bound is for what might break out of
# it. Where gVisor itself meets that bound it ends with the container, so it is well above what it needs: with 64 processes
# inside, 343 to 395 tasks of the host were counted, some five for each and forty of its own.
_TASKS_PER_PROCESS = 8
_OWN_TASKS = 256


@dataclass(slots=True)
class _Descriptors:
    """What one start needs besides the pipes: files that are read once, and both ends of the gate and the door."""

    arguments: int
    bundle: int
    status: int
    gate: int
    opener: int
    door: socket.socket
    their_door: socket.socket

    def close(self) -> None:
        for fd in (self.arguments, self.bundle, self.status, self.gate):
            os.close(fd)
        self.their_door.close()
        self.door.close()
        # The opener last of all: bubblewrap takes its end for a byte.
        os.close(self.opener)


class GvisorRuntime:
    """See `Runtime`. Constructing it starts a ground process and tries a container out (about 0.3 s)."""

    def __init__(self, options: RuntimeOptions) -> None:
        self._options = options
        self._containers: dict[str, GvisorContainer] = {}
        self._installed_runsc = _find_runsc(options)
        self._installed_bwrap = find_bubblewrap(options.bwrap)
        # What does not exist yet cannot be hidden, and would be seen once it does.
        Path(options.data_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
        compile_guest(guest_packages())
        self._facts = read_host_facts(options.data_dir)
        self._uids = UidRange() if os.getuid() == 0 else None
        # Before the ground, which would be a second process in this worker's own group: see `Cgroups`.
        self._cgroups = Cgroups()
        try:
            self._ground = Ground()
        except RuntimeUnavailableError:
            self._cgroups.close()
            raise
        # It gets ready while a container is tried out.
        self._network = ContainerNetwork(self._ground, options)
        try:
            self._stage_programs()
            self._try_out()
        except (ContainerStartError, RuntimeUnavailableError) as error:
            self._ground.close()
            self._cgroups.close()
            raise RuntimeUnavailableError(str(error)) from error
        self._ground.take_groups_now(self._cgroups.roots)
        self._network.wait_until_ready()
        self.capabilities = _describe(self._cgroups, self._network.missing)

    async def start(self, spec: ContainerSpec) -> GvisorContainer:
        """See `Runtime`."""
        return await finish_or_undo(self._start(spec), f"start of {spec.container_id}")

    async def close(self) -> None:
        """See `Runtime`."""
        try:
            for container in list(self._containers.values()):
                await container.close()
        finally:  # with the ground ends also what could not be closed
            self._network.close()
            self._ground.close()
            self._cgroups.close()

    def _stage_programs(self) -> None:
        # The wheel's bubblewrap needs the library directory beside its package, so both are staged.
        home = str(Path(self._installed_bwrap).parents[2])
        places = self._ground.stage_now([home, self._installed_runsc])
        is_systems = self._installed_bwrap.startswith("/usr/")
        self._bwrap = (
            self._installed_bwrap
            if is_systems
            else self._installed_bwrap.replace(home, places[home], 1)
        )
        self._runsc = places[self._installed_runsc]

    def _renew_ground(self) -> None:
        """Go on where somebody killed the ground; what was on it has ended."""
        self._ground.close()
        try:
            self._ground = Ground()
            self._stage_programs()
            self._network.renew(self._ground)
            self._ground.take_groups_now(self._cgroups.roots)
        except RuntimeUnavailableError as error:
            raise ContainerStartError(str(error)) from error

    async def _start(self, spec: ContainerSpec) -> GvisorContainer:
        if spec.gpus:
            raise ContainerStartError(
                f"{spec.function_name} asks for a GPU, and containers of the gvisor runtime have none; "
                'leave out gpu= or runtime="gvisor"'
            )
        if not self._ground.is_alive:
            self._renew_ground()
        uid = self._uids.take() if self._uids is not None else os.getuid()
        held = Held(
            self._ground, self._uids, uid, lambda: self._containers.pop(spec.container_id, None)
        )
        try:
            sandbox = await self._prepare(spec, uid)
            container = await self._launch(spec, sandbox, held)
        except BaseException:
            await held.release()
            raise
        self._containers[spec.container_id] = container
        return container

    async def _prepare(self, spec: ContainerSpec, uid: int) -> GvisorSandbox:
        """Have the ground lay out what the container is shown: the caller's environment, or an image's root."""
        image = spec.image
        has_own_root = isinstance(image, RootImage)
        packages = image_packages() if has_own_root else guest_packages()
        if isinstance(image, RootImage):
            names, roots = self._facts.names_shown, (*image.layers, *mount_points(spec.volumes))
            sources = [*roots, *(bind.source for bind in names)]
            places = await self._ground.stage([*sources, *packages.values()])
            shown = tuple(Shown(places[bind.source], bind.target) for bind in names)
            layers = tuple(places[layer] for layer in roots)
            # Whether the image's own can be entered is known inside: the runner goes there where it can.
            working_dir = CONTAINER_HOME
        else:
            # To a uid that is nobody's on this machine: user code's exists in gVisor only.
            view = view_image(self._facts, image, with_private=False)
            places = await self._ground.stage([*view.open_sources(), *packages.values()])
            shown, layers = view.placed(places), ()
            working_dir = view.working_dir(places, mapped=())
        return GvisorSandbox(
            facts=self._facts,
            runsc=self._runsc,
            shown=shown,
            guest=tuple(
                Shown(places[path], f"{GUEST_ROOT}/{name}") for name, path in packages.items()
            ),
            working_dir=working_dir,
            environment=guest_environment(spec, CONTAINER_HOME),
            command=self._guest(spec),
            scratch_mib=spec.scratch_mib,
            block_network=spec.block_network,
            names=self._network.names(spec, self._facts, has_own_root=has_own_root),
            layers=layers,
            volumes=await place(spec.volumes, self._ground, uid),
            widened=()
            if has_own_root
            else widen(spec.volumes, [entry.real for entry in self._facts.hidden]),
        )

    async def _launch(
        self, spec: ContainerSpec, sandbox: GvisorSandbox, held: Held
    ) -> GvisorContainer:
        try:
            tasks = _TASKS_PER_PROCESS * spec.pids + _OWN_TASKS
            limits = replace(GroupLimits.of(spec), pids=tasks)
            held.cgroup = self._cgroups.make(spec.container_id, limits)
        except OSError as error:
            raise ContainerStartError(f"cannot make a control group: {error}") from error
        pipes = Pipes.open()
        ends = pipes.theirs
        held.status_fd, files = _open_descriptors(sandbox)
        network_fd, container = None, None
        # Another worker may have a container of this name.
        name = f"{spec.container_id}-{secrets.token_hex(8)}"
        try:
            network_fd = await self._network.open(spec, self._ground)
            spawn = self._spawn(sandbox, name, held.uid, ends["detail"], files)
            spawned = await self._ground.spawn(replace(spawn, network_fd=network_fd))
            held.console = console_entry(spec, name, self._enforced())
            container = GvisorContainer(spec.container_id, pipes, spawned, held)
            with suppress(BrokenPipeError):  # it is dead already, and its exit says why
                fds = [ends[name] for name in ("stdout", "detail", "socket", "stderr")]
                socket.send_fds(files.door, [b"\0"], fds)
                await container.enter_cgroup()
                os.write(files.opener, b"\0")
        except BaseException:
            if container is not None:
                await container.close()  # with its pipes, of which it reads to its end
            else:
                pipes.close()
            raise
        finally:
            pipes.close_theirs()
            if network_fd is not None:
                os.close(network_fd)
            files.close()
        return container

    def _spawn(
        self, sandbox: GvisorSandbox, name: str, uid: int, detail: int, files: _Descriptors
    ) -> Spawn:
        argv = (
            self._bwrap,
            *("--args", str(ARGUMENTS_FD)),
            *("--json-status-fd", str(STATUS_FD)),
            *("--block-fd", str(GATE_FD)),
            "--",
            *runsc_command(sandbox, name),
        )
        theirs = (files.arguments, files.status, files.gate, files.bundle)
        return Spawn(argv, uid, (files.their_door.fileno(), detail, detail, *theirs))

    def _guest(self, spec: ContainerSpec) -> tuple[str, ...]:
        place = GuestPlace(GUEST_ROOT)
        guest = guest_command(spec, place, self._enforced(), self._options.guest_argv)
        role = "guest" if user_of(spec.volumes) else f"owner={USER_ID}"
        return door_command("0", role, spec.image.python, guest)

    def _enforced(self) -> Enforced:
        # gVisor counts processes itself; memory only where the group does not.
        return Enforced(self._cgroups.controls_memory, pids=False, counts_data=False)

    def _try_out(self) -> None:
        """Run `true` on gVisor, so that a machine that cannot is found out now.

        Raises `RuntimeUnavailableError` with runsc's own words.
        """
        uid = os.getuid() if self._uids is None else self._uids.take()
        trial = GvisorSandbox(
            self._facts,
            self._runsc,
            (),
            (),
            "/",
            {},
            ("/bin/true",),
            scratch_mib=1,
            block_network=True,
        )
        pipes = Pipes.open()
        status_fd, files = _open_descriptors(trial)
        os.write(files.opener, b"\0")
        try:
            spawned = self._ground.spawn_now(
                self._spawn(
                    trial, f"trial-{secrets.token_hex(8)}", uid, pipes.theirs["detail"], files
                )
            )
            select.select([spawned.pidfd], [], [], _TRIAL_SECONDS)
            os.close(spawned.pidfd)
            if b'"exit-code": 0' not in os.read(status_fd, 4096):
                raise RuntimeUnavailableError(
                    f"gVisor ({self._installed_runsc}) cannot run a container here: "
                    f"{pipes.read_detail() or 'it did not end'}. It needs unprivileged user namespaces and ptrace"
                )
        finally:
            os.close(status_fd)
            files.close()
            pipes.close()
            if self._uids is not None:
                self._uids.give(uid)


def _open_descriptors(sandbox: GvisorSandbox) -> tuple[int, _Descriptors]:
    """Return the end to read bubblewrap's status from, and the rest."""
    gate, opener = os.pipe()
    status_read, status = os.pipe()
    os.set_blocking(status_read, False)
    door, their_door = socket.socketpair()
    arguments = _file("\0".join(outer_arguments(sandbox)).encode() + b"\0")
    return status_read, _Descriptors(
        arguments, _file(bundle(sandbox)), status, gate, opener, door, their_door
    )


def _file(content: bytes) -> int:
    """Put what is read once to its end where no writer has to wait for the reader."""
    fd = os.memfd_create("offload")
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _find_runsc(options: RuntimeOptions) -> str:
    found = options.runsc or shutil.which("runsc")
    if found is None or not os.access(found, os.X_OK):
        raise RuntimeUnavailableError(
            "gVisor is missing: `apt install runsc`, or put gVisor's own `runsc` on PATH"
        )
    return str(Path(found).resolve())


def _describe(cgroups: Cgroups, no_network: str) -> RuntimeCapabilities:
    notes = ["containers have no GPUs", "scratch is bounded in bytes, per mount, and not in files"]
    if not cgroups.controls_memory:
        notes.append(
            "memory is limited per process (RLIMIT_AS) and not per container, because no cgroup is delegated to "
            "this user; start the worker with `systemd-run --user --scope -p Delegate=yes offload worker`"
        )
    if not cgroups.controls_cpu:
        notes.append(CORES_ARE_NOT_LIMITED)
    return RuntimeCapabilities(
        name="gvisor",
        is_sandbox=True,
        blocks_network=True,
        holds_allow_lists=not no_network,
        shared_network=describe_shared_network(no_network),
        limits_memory="cgroup" if cgroups.controls_memory else "rlimit",
        limits_pids="rlimit",
        limits_scratch=True,
        limits_cpu=cgroups.controls_cpu,
        images="rootfs",
        notes=tuple(notes),
    )
