"""Runs each container on a Docker Engine of this machine, root's or an ordinary user's own (rootless)."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import os
import secrets
import tempfile
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from offload.worker.docker_engine import (
    OWN_SOCKET,
    ROOTS_SOCKETS,
    DockerEngine,
    DockerError,
    find_socket,
    owner_of,
    remove_left_behind,
)
from offload.worker.ports import (
    ContainerSpec,
    ContainerStartError,
    LocalImage,
    RootImage,
    RuntimeCapabilities,
    RuntimeUnavailableError,
)
from offload.worker.runtimes.docker_container import DockerContainer, DockerHeld, Door
from offload.worker.runtimes.docker_network import DockerNetwork, describe_docker_network
from offload.worker.runtimes.host import read_host_facts
from offload.worker.runtimes.image_view import view_image
from offload.worker.runtimes.packages import compile_guest, guest_packages, image_packages
from offload.worker.runtimes.pipes import Pipes
from offload.worker.runtimes.uids import UidRange
from offload.worker.runtimes.undo import finish_or_undo
from offload.worker.runtimes.volume_binds import own_volumes, skeletons, widen
from offload.worker.sandbox.devices import gpu_devices
from offload.worker.sandbox.docker import (
    BRIDGE,
    DOOR,
    DockerSandbox,
    RootEntry,
    creation,
    root_image,
)
from offload.worker.sandbox.guest import (
    CONTAINER_HOME,
    GUEST_ROOT,
    Enforced,
    GuestPlace,
    console_command,
    door_command,
    guest_command,
    guest_environment,
)
from offload.worker.sandbox.seccomp import filter_program
from offload.worker.sandbox.view import Shown, is_within

if TYPE_CHECKING:
    from offload.worker.runtimes.options import RuntimeOptions

_NO_VOLUMES = (
    "users in containers of its Docker Engine (rootless, or with userns-remap) are others outside, so files cannot be both theirs "
    "and the worker's; bubblewrap and gvisor do"
)
_NEVER_SHOWN = ("/proc", "/sys", "/dev", "/run")


class DockerRuntime:
    """See `Runtime`. Constructing it asks the engine three questions, and starts a gateway for root (0.1 s)."""

    def __init__(self, options: RuntimeOptions) -> None:
        self._options = options
        self._containers: dict[str, DockerContainer] = {}
        Path(options.data_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._engine = DockerEngine(_find_socket(options))
        self._owner = owner_of(os.getpid())
        try:
            networks = self._engine.networks_now()
            # A rootless engine without a delegated cgroup accepts limits and holds none.
            facts = self._engine.facts_now()
            self._enforced = Enforced(facts.limits_memory, facts.limits_pids)
            remove_left_behind(self._engine)
        except DockerError as error:
            raise RuntimeUnavailableError(
                f"{error}. Start it (`systemctl start docker`), or let this user use it (`usermod -aG docker USER`), "
                "or run a rootless one and name its socket in DOCKER_HOST"
            ) from error
        compile_guest(guest_packages())
        self._facts = read_host_facts(options.data_dir)
        self._shared_network = BRIDGE if BRIDGE in networks else "host"
        self._network = DockerNetwork(options)
        self._uids = UidRange()
        self._doors = tempfile.TemporaryDirectory(prefix="offload-doors-")
        self._network.wait_until_ready()
        shared = describe_docker_network(self._network.missing, self._shared_network)
        self.capabilities = dataclasses.replace(
            _describe(shared, self._enforced, has_quota=facts.limits_cpu),
            no_volumes=_NO_VOLUMES if facts.remaps_users else "",
        )

    async def start(self, spec: ContainerSpec) -> DockerContainer:
        """See `Runtime`."""
        # What the engine does with a request that is cut off is its own affair.
        return await finish_or_undo(self._start(spec), f"start of {spec.container_id}")

    async def close(self) -> None:
        """See `Runtime`. The image stays, for the next worker: it is some directories and links, and no files."""
        try:
            for container in list(self._containers.values()):
                await container.close()
        finally:
            self._network.close()
            self._doors.cleanup()

    async def _start(self, spec: ContainerSpec) -> DockerContainer:
        network = self._network.mode(spec, self._shared_network)
        name = f"offload-{spec.container_id}-{secrets.token_hex(4)}"
        uid = self._uids.take()
        held = DockerHeld(
            self._engine,
            Door(self._doors.name, name),
            self._uids,
            uid,
            lambda: self._containers.pop(spec.container_id, None),
            self._console(spec),
        )
        pipes = Pipes.open()
        try:
            sandbox = await self._prepare(spec, held, network)
            held.engine_id = await self._create(name, sandbox)
            await self._engine.start(held.engine_id)
        except BaseException as error:
            pipes.close()
            await held.release()
            if isinstance(error, DockerError):
                raise ContainerStartError(f"the Docker Engine: {error}") from error
            raise
        container = DockerContainer(
            spec, pipes, held, functools.partial(self._network.connect, spec)
        )
        self._containers[spec.container_id] = container
        return container

    async def _prepare(self, spec: ContainerSpec, held: DockerHeld, network: str) -> DockerSandbox:
        shown, working_dir = self._view(spec)
        is_local = isinstance(spec.image, LocalImage)
        packages = guest_packages() if is_local else image_packages()
        hidden = [entry.real for entry in self._facts.hidden]
        widened = widen(spec.volumes, hidden) if is_local else ()
        return DockerSandbox(
            spec=spec,
            facts=self._facts,
            root=_root_entries() if is_local else (),
            mounts_below=_mounts() if is_local else (),
            shown=shown,
            guest=tuple(
                Shown(path, f"{GUEST_ROOT}/{package}") for package, path in packages.items()
            ),
            door_dir=held.door.directory,
            uid=await own_volumes(spec.volumes, held.uid),
            working_dir=working_dir,
            environment=guest_environment(spec, CONTAINER_HOME),
            command=self._guest(spec),
            network=network,
            owner=self._owner,
            devices=self._devices(spec),
            widened=widened,
            skeletons=await asyncio.to_thread(skeletons, spec.volumes, widened),
        )

    def _view(self, spec: ContainerSpec) -> tuple[tuple[Shown, ...], str]:
        """Return what of this machine is shown, and where the container begins."""
        if isinstance(spec.image, RootImage):
            # Whether the image's own can be entered is known inside: the runner goes there where it can.
            return (), CONTAINER_HOME
        view = view_image(self._facts, spec.image, with_private=False)
        places = {source: source for source in view.open_sources()}
        return view.placed(places), view.working_dir(places, mapped=())

    async def _create(self, name: str, sandbox: DockerSandbox) -> str:
        if isinstance(sandbox.spec.image, RootImage):
            engine_image = sandbox.spec.image.engine_image
            return await self._engine.create(name, creation(sandbox, engine_image))
        image, tar = root_image(sandbox.root)
        body = creation(sandbox, image)
        try:
            return await self._engine.create(name, body)
        except DockerError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
        # The first on this machine, or somebody tidied up.
        await self._engine.load_image(image, tar)
        return await self._engine.create(name, body)

    def _devices(self, spec: ContainerSpec) -> tuple[Shown, ...]:
        """Choose the nodes that exist: the engine refuses others."""
        wanted = gpu_devices([gpu.index for gpu in spec.gpus], self._options.device_dir)
        return tuple(device for device in wanted if Path(device.source).exists())

    def _console(self, spec: ContainerSpec) -> tuple[str, ...]:
        calls = filter_program(os.uname().machine)
        words = (f"CALLS={calls.hex()}",) if calls else ()
        return console_command(spec, GUEST_ROOT, self._enforced, *words)

    def _guest(self, spec: ContainerSpec) -> tuple[str, ...]:
        place, own = GuestPlace(GUEST_ROOT), self._options.guest_argv
        guest = guest_command(spec, place, self._enforced, own)
        calls = filter_program(os.uname().machine)
        role = f"init={calls.hex()}" if calls else "init"
        return door_command(DOOR, role, spec.image.python, guest)


def _root_entries() -> tuple[RootEntry, ...]:
    """Read the host's root, where other files than directories and links are nobody's business."""
    entries = []
    for path in sorted(Path("/").iterdir()):
        if path.is_symlink():
            entries.append(RootEntry(path.name, str(path.readlink())))
        elif path.is_dir():
            entries.append(RootEntry(path.name))
    return tuple(entries)


def _mounts() -> tuple[str, ...]:
    """List this machine's mounts, parents before children; engines make a mount read-only, but not what is below it."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    # Space, tab, newline and backslash are written as \040, \011, \012 and \134.
    paths = {line.split()[4].encode().decode("unicode_escape") for line in lines}
    return tuple(
        path
        for path in sorted(paths)
        if path != "/" and not any(is_within(path, own) for own in _NEVER_SHOWN)
    )


def _find_socket(options: RuntimeOptions) -> str:
    found = find_socket(options.docker_socket)
    if found is None:
        raise RuntimeUnavailableError(
            f"no Docker Engine that this user may use listens at {OWN_SOCKET.format(os.getuid())} or {ROOTS_SOCKETS[0]}: "
            "`apt install docker.io`, let this user use it (`usermod -aG docker USER`), or name another's socket in DOCKER_HOST"
        )
    return found


def _describe(shared_network: str, enforced: Enforced, *, has_quota: bool) -> RuntimeCapabilities:
    notes = [
        "scratch is bounded per mount (/tmp, home, /dev/shm), and together only by the memory limit"
    ]
    if not (enforced.memory and enforced.pids):
        notes.append(
            "memory or processes are limited per process or user and not per container, because the engine has no cgroup "
            "for it; a rootless engine needs cgroup version 2 and systemd's delegation"
        )
    if not has_quota:
        notes.append(
            "cpu=(request, limit) is not run here, because the engine has no cgroup with the cpu controller"
        )
    return RuntimeCapabilities(
        name="docker",
        is_sandbox=True,
        blocks_network=True,
        holds_allow_lists=not shared_network,
        shared_network=shared_network,
        limits_memory="cgroup" if enforced.memory else "rlimit",
        limits_pids="cgroup" if enforced.pids else "rlimit",
        limits_scratch=True,
        limits_cpu=has_quota,
        images="docker",
        notes=tuple(notes),
    )
