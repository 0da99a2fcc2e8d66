"""The program's own modules, which containers with an image cannot import unless they are sent along."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from offload.sdk.image_content import Files, source_files
from offload.wire.images import SOURCE_DIR

if TYPE_CHECKING:
    from types import ModuleType


def program_modules() -> tuple[Files, ...]:
    """Return the modules that were imported from neither the standard library nor an installed package.

    The program itself travels inside its functions where it is not imported by name.
    """
    installed = tuple(
        sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")
    )
    places: dict[str, str] = {}
    for name, module in sorted(sys.modules.items()):
        if "." in name or name in ("__main__", "offload"):
            continue
        for path in _sources(module):
            if not path.startswith(installed) and Path(path).exists():
                target = Path(path).name if path.endswith(".py") else name
                places[path] = f"{SOURCE_DIR}/{target}"
    return (source_files(places.items()),) if places else ()


def _sources(module: ModuleType) -> list[str]:
    folders = getattr(module, "__path__", None)
    if folders is not None:
        return [str(Path(folder).absolute()) for folder in folders]
    file = getattr(module, "__file__", None)
    return [str(Path(file).absolute())] if file and file.endswith(".py") else []
