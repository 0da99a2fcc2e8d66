"""Runs each container in a sandbox made by bubblewrap, for root and for ordinary users."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import sys
from contextlib import ExitStack, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from offload.worker.ports import (
    ContainerSpec,
    ContainerStartError,
    LocalImage,
    RootImage,
    RuntimeUnavailableError,
)
from offload.worker.runtimes import packages as installed
from offload.worker.runtimes.bubblewrap_container import BubblewrapContainer, Held
from offload.worker.runtimes.bubblewrap_program import (
    describe,
    find_bubblewrap,
    open_filter,
    stage_bubblewrap,
    try_out,
)
from offload.worker.runtimes.bubblewrap_template import BubblewrapTemplate
from offload.worker.runtimes.cgroups import Cgroups, ContainerCgroup, GroupLimits
from offload.worker.runtimes.ground import Ground, Scratch, Spawn
from offload.worker.runtimes.host import interpreter_prefixes, read_host_facts, resolve
from offload.worker.runtimes.image_view import covered_by_scratch, view_image
from offload.worker.runtimes.keepers_python import PLACE as KEEPERS_PLACE
from offload.worker.runtimes.keepers_python import keepers_argv, keepers_files
from offload.worker.runtimes.network import ContainerNetwork
from offload.worker.runtimes.pipes import Pipes, open_pipe
from offload.worker.runtimes.sandbox_console import console_entry
from offload.worker.runtimes.uids import UidRange
from offload.worker.runtimes.undo import finish_or_undo
from offload.worker.runtimes.volume_binds import mount_points, place, widen
from offload.worker.sandbox.arguments import (
    ARGUMENTS_FD,
    CONTROL_FD,
    FILTER_FD,
    GATE_FD,
    LINE_FD,
    STATUS_FD,
    Sandbox,
    bubblewrap_arguments,
)
from offload.worker.sandbox.devices import gpu_devices
from offload.worker.sandbox.guest import (
    CONTAINER_HOME,
    GUEST_ROOT,
    Enforced,
    GuestPlace,
    guest_command,
    guest_environment,
    keeper_command,
    keeper_order,
    template_command,
)
from offload.worker.sandbox.seccomp import filter_program
from offload.worker.sandbox.view import (
    Shown,
    image_paths,
    without_proc_masks,
)  # fmt: skip

if TYPE_CHECKING:
    from offload.worker.runtimes.options import RuntimeOptions

_MIB = 1024 * 1024

# The new process's descriptors in the order of their numbers: see `sandbox.arguments` and `sandbox.guest`.
_BEFORE_ARGUMENTS = ("stdin", "stdout", "detail")
_AFTER_STATUS = ("socket", "stderr")


# Without what a virtual environment adds: the keeper needs the standard library only.
_KEEPERS_PYTHON = str(Path(sys.executable).resolve())

# For itself and for a process in each sandbox that it makes, which takes about a MiB.
_KEEPERS_MEMORY_MIB, _KEEPERS_PIDS = 256, 1024


@dataclasses.dataclass(frozen=True, slots=True)
class _Plan:
    """A sandbox before it is started."""

    spec: ContainerSpec
    argv: tuple[str, ...]
    arguments: tuple[str, ...]  # bubblewrap's
    scratch: Scratch
    keepers_fds: tuple[int, ...] = ()  # of a keeper, which has no filter of system calls


class BubblewrapRuntime:
    """See `Runtime`. Constructing it starts the ground process and tries a sandbox out (about 60 ms)."""

    def __init__(self, options: RuntimeOptions) -> None:
        self._options = options
        self._containers: dict[str, BubblewrapContainer] = {}
        self._templates: dict[str, BubblewrapTemplate] = {}
        # What does not exist yet cannot be hidden, and would be seen once it does.
        Path(options.data_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
        installed.compile_guest(installed.guest_packages())
        self._facts = read_host_facts(options.data_dir)
        bwrap = find_bubblewrap(options.bwrap)
        self._uids = UidRange() if os.getuid() == 0 else None
        # Before the ground, which would be a second process in this worker's own group: see `Cgroups`.
        self._cgroups = Cgroups()
        self._ground = self._start_ground()
        self._installed_bwrap = bwrap
        self._filter = filter_program(os.uname().machine)
        # It gets ready while the sandbox is tried out.
        self._network = ContainerNetwork(self._ground, options)
        try:
            self._bwrap = stage_bubblewrap(self._ground, self._installed_bwrap)
            self._try_out()
        except (ContainerStartError, RuntimeUnavailableError) as error:
            self._ground.close()
            self._cgroups.close()
            raise RuntimeUnavailableError(str(error)) from error
        self._ground.take_groups_now(self._cgroups.roots)
        self._enforced = Enforced(self._cgroups.controls_memory, self._cgroups.controls_pids)
        self._console = partial(console_entry, self._enforced, self._filter)
        self._network.wait_until_ready()
        self.capabilities = describe(
            self._cgroups,
            has_filter=self._filter is not None,
            no_network=self._network.missing,
        )

    async def start(self, spec: ContainerSpec) -> BubblewrapContainer:
        """See `Runtime`."""
        return await finish_or_undo(self._start(spec), f"start of {spec.container_id}")

    async def start_template(self, spec: ContainerSpec) -> BubblewrapTemplate:
        """See `Runtime`."""
        return await finish_or_undo(self._start_template(spec), f"start of {spec.container_id}")

    async def close(self) -> None:
        """See `Runtime`."""
        try:
            for template in list(self._templates.values()):
                await template.close()
            for container in list(self._containers.values()):
                await container.close()
        finally:  # with the ground ends also what could not be closed
            self._network.close()
            self._ground.close()
            self._cgroups.close()

    def _start_ground(self) -> Ground:
        try:
            return Ground()
        except RuntimeUnavailableError:
            self._cgroups.close()
            raise

    def _living_ground(self) -> Ground:
        if not self._ground.is_alive:
            self._renew_ground()
        return self._ground

    def _renew_ground(self) -> None:
        """Go on where somebody killed the ground. What ran on it has ended with it."""
        self._ground.close()
        try:
            self._ground = Ground()
            self._bwrap = stage_bubblewrap(self._ground, self._installed_bwrap)
            self._network.renew(self._ground)
            self._ground.take_groups_now(self._cgroups.roots)
        except RuntimeUnavailableError as error:
            raise ContainerStartError(str(error)) from error

    async def _start_template(self, spec: ContainerSpec) -> BubblewrapTemplate:
        line = await self._network.serve(spec, self._living_ground())
        argv = template_command(spec, GuestPlace(GUEST_ROOT), self._enforced)
        order = keeper_order(spec, argv, self._facts, os.uname().machine)
        with_private = self._uids is not None and self._options.shows_private
        order["shown"] = covered_by_scratch(self._facts, spec.image, with_private=with_private)
        order["hidden"] = [KEEPERS_PLACE] if isinstance(spec.image, RootImage) else []
        order["net"] = spec.block_network or self._network.is_own
        order["line"] = LINE_FD if line is not None else None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        try:
            with theirs, line or nullcontext():
                ours.send(json.dumps(order).encode())
                fds = (theirs.fileno(), *([line.fileno()] if line is not None else ()))
                keeper = await self._start(spec, fds)
        except BaseException:
            ours.close()
            raise
        forget = partial(self._templates.pop, spec.container_id, None)
        template = BubblewrapTemplate(keeper, ours, self._cgroups, self._console, forget)
        self._templates[spec.container_id] = template
        return template

    async def _start(
        self, spec: ContainerSpec, keepers_fds: tuple[int, ...] = ()
    ) -> BubblewrapContainer:
        """Start a container; with ends of sockets for it, a keeper."""
        self._living_ground()
        uid = self._uids.take() if self._uids is not None else os.getuid()
        scratch = Scratch(spec.container_id, spec.scratch_mib * _MIB, spec.scratch_inodes)
        forget = partial(self._containers.pop, spec.container_id, None)
        held = Held(self._ground, self._uids, uid, forget, console=self._console(spec))
        try:
            if isinstance(spec.image, RootImage):
                sandbox = await self._prepare_root(spec, spec.image, held, scratch)
            else:
                sandbox = await self._prepare(spec, spec.image, held, scratch)
            if not keepers_fds:
                plan = _Plan(spec, self._command(spec), bubblewrap_arguments(sandbox), scratch)
            else:
                sandbox = await self._add_keeper(sandbox)
                argv = self._keeper_command(is_local=not sandbox.layers)
                plan = _Plan(spec, argv, bubblewrap_arguments(sandbox), scratch, keepers_fds)
            container = await self._launch(plan, held)
        except BaseException:
            await held.release()
            raise
        self._containers[spec.container_id] = container
        return container

    async def _launch(self, plan: _Plan, held: Held) -> BubblewrapContainer:
        spec, scratch = plan.spec, plan.scratch
        try:
            held.cgroup = self._make_group(plan)
        except OSError as error:
            raise ContainerStartError(f"cannot make a control group: {error}") from error
        pipes, container = Pipes.open(), None
        with ExitStack() as ours:
            ours.callback(pipes.close_theirs)
            try:
                # The opener is closed last of all: bubblewrap takes its end for a byte.
                gate_fd, opener_fd = open_pipe(ours)
                arguments_fd, feed_fd = open_pipe(ours, keeps="write")
                feed = ours.enter_context(os.fdopen(feed_fd, "wb", buffering=0))
                held.status_fd, status_fd = open_pipe(ours, keeps="read")
                filter_fds = plan.keepers_fds or open_filter(self._filter, ours)
                network_fd = await self._network.open(spec, self._ground)
                if network_fd is not None:
                    ours.callback(os.close, network_fd)
                ends = pipes.theirs
                fds = (
                    *(ends[name] for name in _BEFORE_ARGUMENTS),
                    *(arguments_fd, status_fd),
                    *(ends[name] for name in _AFTER_STATUS),
                    *(gate_fd, *filter_fds),
                )
                spawned = await self._ground.spawn(
                    Spawn(plan.argv, held.uid, fds, scratch, network_fd)
                )
                held.scratch = scratch
                container = BubblewrapContainer(spec.container_id, pipes, spawned, held)
                with suppress(BrokenPipeError):  # it is dead already, and its exit says why
                    feed.write("\0".join(plan.arguments).encode() + b"\0")
                    feed.close()  # it reads to the end
                    await container.enter_cgroup()
                    os.write(opener_fd, b"\0")
            except BaseException:
                if container is None:
                    pipes.close()
                else:
                    await container.close()  # with its pipes, of which it reads to its end
                raise
        return container

    def _make_group(self, plan: _Plan) -> ContainerCgroup:
        spec = plan.spec
        if not plan.keepers_fds:
            return self._cgroups.make(spec.container_id, GroupLimits.of(spec))
        # The template alone is to die of what it takes: not the keeper, nor the first processes of its containers.
        limits = GroupLimits.of(spec).beside(_KEEPERS_MEMORY_MIB, _KEEPERS_PIDS)
        return self._cgroups.make(spec.container_id, limits)

    async def _prepare_root(
        self, spec: ContainerSpec, image: RootImage, held: Held, scratch: Scratch
    ) -> Sandbox:
        """Have the ground lay out the layers of an image and what every container needs besides."""
        names, packages = self._facts.names_shown, installed.image_packages()
        points = mount_points(spec.volumes)
        sources = [*image.layers, *points, *(bind.source for bind in names), *packages.values()]
        places = await self._ground.stage(sources)
        return Sandbox(
            facts=self._facts,
            shown=tuple(Shown(places[bind.source], bind.target) for bind in names),
            names=self._network.names(spec, self._facts, has_own_root=True),
            guest=installed.shown_guest(packages, places),
            scratch=scratch.directory,
            # Whether the image's own can be entered is known inside: the runner goes there where it can.
            working_dir=CONTAINER_HOME,
            environment=guest_environment(spec, CONTAINER_HOME),
            block_network=spec.block_network,
            devices=gpu_devices([gpu.index for gpu in spec.gpus], self._options.device_dir),
            layers=tuple(places[layer] for layer in (*image.layers, *points)),
            volumes=await place(spec.volumes, self._ground, held.uid),
        )

    async def _prepare(
        self, spec: ContainerSpec, image: LocalImage, held: Held, scratch: Scratch
    ) -> Sandbox:
        """Have the ground lay out what the container is shown."""
        is_root = self._uids is not None
        view = view_image(self._facts, image, with_private=is_root and self._options.shows_private)
        packages = installed.guest_packages()
        # What is closed to a container's own uid is left out: the runner names what it misses when an import fails.
        sources = view.open_sources() if is_root else [bind.source for bind in view.shown]
        places = await self._ground.stage([*sources, *packages.values()])
        mapped: dict[str, str] = {}
        if view.private:
            held.private = spec.container_id
            mapped = await self._ground.show_private(held.private, held.uid, list(view.private))
        places |= mapped
        return Sandbox(
            facts=view.facts,
            shown=view.placed(places),
            names=self._network.names(spec, self._facts, has_own_root=False),
            guest=installed.shown_guest(packages, places),
            scratch=scratch.directory,
            working_dir=view.working_dir(places, mapped=mapped if is_root else None),
            environment=guest_environment(spec, CONTAINER_HOME),
            block_network=spec.block_network,
            devices=gpu_devices([gpu.index for gpu in spec.gpus], self._options.device_dir),
            volumes=await place(spec.volumes, self._ground, held.uid),
            widened=widen(spec.volumes, [entry.real for entry in view.facts.hidden]),
        )

    async def _add_keeper(self, sandbox: Sandbox) -> Sandbox:
        """Turn a container's sandbox into that of a keeper, which runs in the worker's own interpreter."""
        own = keepers_files()
        if not sandbox.layers:
            prefixes = interpreter_prefixes(_KEEPERS_PYTHON)
            own = image_paths(self._facts, [resolve(path) for path in prefixes])
        known = {bind.target for bind in sandbox.shown}
        missing = [bind for bind in own if bind.target not in known]
        places = await self._ground.stage([bind.source for bind in missing])
        return dataclasses.replace(
            sandbox,
            facts=without_proc_masks(sandbox.facts),
            shown=(*sandbox.shown, *(Shown(places[bind.source], bind.target) for bind in missing)),
            makes_sandboxes=True,
        )

    def _command(self, spec: ContainerSpec) -> tuple[str, ...]:
        guest = guest_command(
            spec, GuestPlace(GUEST_ROOT), self._enforced, self._options.guest_argv
        )
        filtered = ("--seccomp", str(FILTER_FD)) if self._filter is not None else ()
        return (*self._bubblewrap(), *filtered, "--", *guest)

    def _keeper_command(self, *, is_local: bool) -> tuple[str, ...]:
        python = (_KEEPERS_PYTHON,) if is_local else keepers_argv()
        keeper = keeper_command(python, GuestPlace(GUEST_ROOT), CONTROL_FD)
        return (*self._bubblewrap(), "--", *keeper)

    def _bubblewrap(self) -> tuple[str, ...]:
        return (
            self._bwrap,
            *("--args", str(ARGUMENTS_FD)),
            *("--json-status-fd", str(STATUS_FD)),
            *("--block-fd", str(GATE_FD)),
        )

    def _try_out(self) -> None:
        """Raise `RuntimeUnavailableError` where this machine cannot make a sandbox."""
        uid = os.getuid() if self._uids is None else self._uids.take()
        with ExitStack() as opened:
            if self._uids is not None:
                opened.callback(self._uids.give, uid)
            try_out(self._ground, self._bwrap, uid, open_filter(self._filter, opened))
