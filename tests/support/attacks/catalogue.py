"""Every attempt."""

from __future__ import annotations

from tests.support.attacks import files, floods, kernel, neighbours, network, platform

BY_GROUP = {
    "files": files.ATTEMPTS,
    "kernel": kernel.ATTEMPTS,
    "neighbours": neighbours.ATTEMPTS,
    "floods": floods.ATTEMPTS,
    "network": network.ATTEMPTS,
    "platform": platform.ATTEMPTS,
}
ATTEMPTS = {attempt.name: attempt for attempts in BY_GROUP.values() for attempt in attempts}
