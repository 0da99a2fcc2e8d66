"""Runs each container on a Docker Engine of this machine, root's or an ordinary user's own (rootless)."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from offload.worker.ports import (
    ContainerSpec,
    ContainerStartError,
    RuntimeCapabilities,
    RuntimeUnavailableError,
)
from offload.worker.runtimes.docker_container import DockerContainer, DockerHeld, Door
from offload.worker.runtimes.docker_engine import DockerEngine, DockerError
from offload.worker.runtimes.docker_network import DockerNetwork
from offload.worker.runtimes.host import read_host_facts
from offload.worker.runtimes.image_view import require_local_image, view_image
from offload.worker.runtimes.packages import compile_guest, guest_packages
from offload.worker.runtimes.pipes import Pipes
from offload.worker.runtimes.uids import UidRange
from offload.worker.sandbox.devices import gpu_devices
from offload.worker.sandbox.docker import (
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
    door_command,
    guest_command,
    guest_environment,
)
from offload.worker.sandbox.seccomp import filter_program
from offload.worker.sandbox.view import RefusedPathError, Shown, is_within

if TYPE_CHECKING:
    from offload.worker.runtimes.options import RuntimeOptions

_SOCKETS = ("/run/docker.sock", "/var/run/docker.sock")
_OWNER_LABEL = "offload.owner"
_NEVER_SHOWN = ("/proc", "/sys", "/dev", "/run")


class DockerRuntime:
    """See `Runtime`. Constructing it asks the engine three questions (a few milliseconds)."""

    def __init__(self, options: RuntimeOptions) -> None:
        self._options = options
        self._containers: dict[str, DockerContainer] = {}
        Path(options.data_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._engine = DockerEngine(_find_socket(options))
        self._owner = _owner(os.getpid())
        try:
            networks = self._engine.networks_now()
            # A rootless engine without a delegated cgroup accepts limits and holds none.
            memory, pids, has_quota = self._engine.limits_now()
            self._enforced = Enforced(memory, pids)
            _remove_left_behind(self._engine)
        except DockerError as error:
            raise RuntimeUnavailableError(
                f"{error}. Start it (`systemctl start docker`), or let this user use it (`usermod -aG docker USER`), "
                "or run a rootless one and name its socket in DOCKER_HOST"
            ) from error
        compile_guest(guest_packages())
        self._facts = read_host_facts(options.data_dir)
        self._network = DockerNetwork(options, networks)
        self._uids = UidRange()
        self._doors = tempfile.TemporaryDirectory(prefix="offload-doors-")
        self.capabilities = _describe(self._network, self._enforced, has_quota=has_quota)

    async def start(self, spec: ContainerSpec) -> DockerContainer:
        """See `Runtime`."""
        starting = asyncio.create_task(self._start(spec), name=f"start of {spec.container_id}")
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # What the engine does with a request that is cut off is its own affair: finish it, then take it back.
            await asyncio.wait([starting])
            if starting.exception() is None:
                await starting.result().close()
            raise

    async def close(self) -> None:
        """See `Runtime`. The image stays, for the next worker: it is some directories and links, and no files."""
        for container in list(self._containers.values()):
            await container.close()
        self._network.close()
        self._doors.cleanup()

    async def _start(self, spec: ContainerSpec) -> DockerContainer:
        try:
            view = view_image(self._facts, require_local_image(spec, "docker"), with_private=False)
        except RefusedPathError as error:
            raise ContainerStartError(str(error)) from error
        mode = self._network.mode(spec)
        places = {source: source for source in view.open_sources()}
        name = f"offload-{spec.container_id}-{secrets.token_hex(4)}"
        uid = self._uids.take()
        held = DockerHeld(
            self._engine,
            Door(self._doors.name, name),
            self._uids,
            uid,
            lambda: self._containers.pop(spec.container_id, None),
        )
        sandbox = DockerSandbox(
            spec=spec,
            facts=self._facts,
            root=_root_entries(),
            mounts_below=_mounts(),
            shown=view.placed(places),
            guest=tuple(
                Shown(path, f"{GUEST_ROOT}/{package}") for package, path in guest_packages().items()
            ),
            door_dir=held.door.directory,
            uid=uid,
            working_dir=view.working_dir(places, mapped=()),
            environment=guest_environment(spec, CONTAINER_HOME),
            command=self._guest(spec),
            network=mode,
            has_own_names=self._network.is_own and not spec.block_network,
            owner=self._owner,
            devices=self._devices(spec),
        )
        pipes = Pipes.open()
        try:
            held.engine_id = await self._create(name, sandbox)
            await self._engine.start(held.engine_id)
            if self._network.is_own and not spec.block_network:
                pid = await self._engine.pid_of(held.engine_id)
                await self._network.connect(spec, pid, held.engine_id)
        except BaseException as error:
            pipes.close()
            await held.release()
            if isinstance(error, DockerError):
                raise ContainerStartError(f"the Docker Engine: {error}") from error
            raise
        container = DockerContainer(spec, pipes, held)
        self._containers[spec.container_id] = container
        return container

    async def _create(self, name: str, sandbox: DockerSandbox) -> str:
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

    def _guest(self, spec: ContainerSpec) -> tuple[str, ...]:
        place, own = GuestPlace(GUEST_ROOT), self._options.guest_argv
        guest = guest_command(spec, place, self._enforced, own)
        calls = filter_program(os.uname().machine)
        return door_command(DOOR, f"init={calls.hex()}" if calls else "init", guest)


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
    if options.docker_socket is not None:
        return options.docker_socket
    own = f"/run/user/{os.getuid()}/docker.sock"
    for path in (own, *_SOCKETS):
        if os.access(path, os.W_OK):
            return path
    raise RuntimeUnavailableError(
        f"no Docker Engine that this user may use listens at {own} or {_SOCKETS[0]}: `apt install docker.io`, "
        "let this user use it (`usermod -aG docker USER`), or name another's socket in DOCKER_HOST"
    )


def _owner(pid: int) -> str:
    """Name a process for good: numbers come again, and are another's in another namespace."""
    began = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    return f"{os.readlink('/proc/self/ns/pid')}.{pid}.{began}"  # noqa: PTH115 - no path leads there


def _remove_left_behind(engine: DockerEngine) -> None:
    """Remove the containers of workers that died: their runners have ended, but the engine keeps what is left."""
    for container, owner in engine.containers_now(_OWNER_LABEL).items():
        namespace, pid, _ = owner.split(".")
        if namespace != _owner(os.getpid()).split(".")[0]:
            continue
        try:
            is_alive = _owner(int(pid)) == owner
        except OSError:
            is_alive = False
        if not is_alive:
            engine.remove_now(container)


def _describe(
    network: DockerNetwork, enforced: Enforced, *, has_quota: bool
) -> RuntimeCapabilities:
    notes = [
        "scratch is bounded per mount (/tmp, home, /dev/shm), and together only by the memory limit"
    ]
    if network.shares_machines:
        notes.append(
            "containers share this machine's network unless it is blocked, because the engine has no bridge"
        )
    elif not network.is_own:
        notes.append(
            "containers are on the engine's bridge unless their network is blocked, and reach one another and this machine "
            f"there: {network.missing}"
        )
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
        holds_allow_lists=network.is_own,
        limits_memory="cgroup" if enforced.memory else "rlimit",
        limits_pids="cgroup" if enforced.pids else "rlimit",
        limits_scratch=True,
        limits_cpu=has_quota,
        notes=tuple(notes),
    )
