"""Installing plain wheels: fetched and unpacked once, and linked into every image that wants them.

Two sandboxes, so that nothing an image brings along can touch what others are made of. The image's own interpreter says
what it is and what is installed; then uv, under the worker's interpreter and with the shared cache, resolves for that and
lays the files out. No code of the image or of a package runs beside the cache. Whatever takes more (sources to build, a
package to replace, options in a requirements file, secrets) is left to uv inside the image, with nothing shared.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from offload.worker.images import guest_facts, tool_wheels
from offload.worker.images.sandbox import Bind, Command
from offload.worker.images.steps import CA_AT, GUEST_AT, PATH, UV_AT, build_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from offload.worker.core.images import ImageState, ImageStep
    from offload.worker.images.sandbox import BuildSandbox, Result
    from offload.worker.images.settings import ImageSettings
    from offload.worker.images.store import LayerStore, Making

_PLAIN = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[A-Za-z0-9._, -]*\])?\s*([<>=!~][^@;#]*)?(;[^#]*)?"
)
_OWN_VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
_MANYLINUX = (17, 28, *range(31, 41))


def plain_requirements(step: ImageStep, text: str) -> list[str] | None:
    """Return a step's requirements, one a line; None where it says more than names and versions."""
    if step.secrets:
        return None
    lines = text.splitlines() if step.kind == "pip_requirements" else list(step.arguments)
    stripped = [line.split(" #")[0].strip() for line in lines]
    wanted = [line for line in stripped if line and not line.startswith("#")]
    return wanted if all(_PLAIN.fullmatch(line) for line in wanted) else None


def platform_of(machine: str, glibc: str) -> str:
    """Return uv's name for what wheels have to run on; empty: this machine itself."""
    if machine not in ("x86_64", "aarch64"):
        return ""
    if not glibc:
        return f"{machine}-unknown-linux-musl"
    minor = int(glibc.split(".")[1])
    fitting = [number for number in _MANYLINUX if number <= minor]
    return f"{machine}-manylinux_2_{fitting[-1]}" if fitting else ""


class Wheels:
    """See the module."""

    def __init__(self, store: LayerStore, sandbox: BuildSandbox, settings: ImageSettings) -> None:
        self._store = store
        self._sandbox = sandbox
        self._settings = settings

    async def install(
        self, uv: str, requirements: list[str], before: ImageState, making: Making,
        index: tuple[str, ...], on_line: Callable[[str], None],
    ) -> Result | None:  # fmt: skip
        """Fill a layer; None where it takes more than unpacking wheels."""
        facts = await self._facts(before)
        if facts is None or facts["implementation"] != "cpython":
            return None
        shared = self._store.shared
        order = {
            "uv": UV_AT,
            "requirements": requirements,
            "index": index,
            "python_version": ".".join(str(facts["version"]).split(".")[:2]),
            "platform": platform_of(str(facts["machine"]), str(facts["glibc"])),
            "installed": facts["installed"],
            "image_python": facts["python"],
            "purelib": facts["purelib"],
            "scripts": facts["scripts"],
            "data": facts["data"],
            "making": f"{tool_wheels.PLACE}/{making.directory.relative_to(shared)}",
        }
        (making.directory / "order.json").write_text(json.dumps(order))
        if os.getuid() == 0:
            os.chown(making.directory, self._sandbox.ids.owner, self._sandbox.ids.owner)
        result = await self._sandbox.run(
            self._command(uv, f"{order['making']}/order.json"), on_line
        )
        if result.code == tool_wheels.NOT_PLAIN:
            return None
        if result.code == 0 and order["python_version"] != _OWN_VERSION:
            await self._compile(before, making, str(facts["purelib"]))
        return result

    async def _compile(self, before: ImageState, making: Making, folder: str) -> None:
        """Have the image's interpreter compile what was laid out, where the worker's is of another version."""
        words = ("-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", folder)
        command = Command(
            (before.python, "-I", *words),
            build_environment(before.env, (), has_ca=False),
            tuple(str(self._store.files_of(layer)) for layer in before.layers),
            (str(making.fs), str(making.work)),
        )
        # What does not compile is compiled by nobody: templates, and tests of syntax.
        await self._sandbox.run(command)

    async def _facts(self, before: ImageState) -> dict[str, object] | None:
        place = f"{GUEST_AT}.py"
        result = await self._sandbox.run(
            Command(
                (before.python, "-I", place),
                build_environment(before.env, (), has_ca=False),
                tuple(str(self._store.files_of(layer)) for layer in before.layers),
                binds=(Bind(guest_facts.__file__, place),),
            )
        )
        if result.code != 0:
            return None
        facts: dict[str, object] = json.loads(result.last_lines[-1])
        return facts

    def _command(self, uv: str, order: str) -> Command:
        tool = "/run/offload/tool_wheels.py"
        binds = [
            Bind(str(self._store.shared), tool_wheels.PLACE, is_writable=True),
            Bind(uv, UV_AT),
            Bind(tool_wheels.__file__, tool),
        ]
        ca_file = self._settings.ca_file
        if ca_file is not None:
            binds.append(Bind(str(ca_file), CA_AT))
        env = build_environment((), self._settings.proxies, has_ca=ca_file is not None)
        interpreter = str(Path(sys.executable).resolve())
        return Command(
            (interpreter, "-I", "-S", tool, order), {**env, "PATH": PATH}, binds=tuple(binds)
        )
