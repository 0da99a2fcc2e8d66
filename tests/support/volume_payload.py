"""Uses a volume in a container of one runtime, and prints what came of it as JSON: `volume_payload DATA_DIR RUNTIME [SOCKET]`."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from tests.support.runtime_guest import GUEST_ARGV
from tests.support.volume_stage import CLOSE, IDS, Stage, hold_open, read, write

from offload.worker.ports import Runtime, RuntimeUnavailableError
from offload.worker.runtimes.bubblewrap import BubblewrapRuntime
from offload.worker.runtimes.docker import DockerRuntime
from offload.worker.runtimes.gvisor import GvisorRuntime
from offload.worker.runtimes.options import RuntimeOptions
from offload.worker.runtimes.process import ProcessRuntime
from offload.worker.volumes import VolumeError

_RUNTIMES = {
    "bubblewrap": BubblewrapRuntime,
    "docker": DockerRuntime,
    "gvisor": GvisorRuntime,
    "process": ProcessRuntime,
}


async def look(runtime: Runtime, data_dir: Path) -> dict[str, object]:
    """Play a container's life with a volume."""
    stage = Stage(runtime, data_dir)
    stage.server.put({"old": "1", "folder/file": "2"})
    found: dict[str, object] = {}
    async with stage.container() as opened:
        found["ids"] = await opened.ask(IDS)
        found["read"] = await opened.ask(read("folder/file"))
        await opened.ask(write("old", "new"))
        await opened.ask(write("closed", "mine"))
        await opened.ask("__import__('os').chmod('DATA/closed', 0o600)")
        await opened.ask(hold_open("half", "w", "half"))
        await opened.mounts.commit_all()
        found["committed"] = stage.server.files()
        try:
            await opened.mounts.reload("vo-1")
        except VolumeError as error:
            found["refusal"] = str(error).removeprefix(opened.path)
        await opened.ask(CLOSE)
        stage.server.put({"old": "theirs"})
        await opened.mounts.reload("vo-1")
        found["reloaded"] = await opened.ask(read("old"))
        found["written_again"] = await opened.ask(write("old", "mine"))
    found["left"] = [path.name for path in (data_dir / "volumes" / "views").iterdir()]
    return found


async def main(data_dir: str, name: str, socket: str | None = None) -> dict[str, object]:
    """Make the runtime, and use it."""
    options = RuntimeOptions(data_dir, guest_argv=GUEST_ARGV, docker_socket=socket)
    try:
        runtime = _RUNTIMES[name](options)
    except RuntimeUnavailableError as error:
        return {"unavailable": str(error)}
    try:
        return await look(runtime, Path(data_dir))
    finally:
        await runtime.close()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(*sys.argv[1:]))))
