"""What a builder keeps in a Docker Engine, within its bound; the engine is scripted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from offload.worker.core.images import ImageState
from offload.worker.images.build_engine import EngineImage
from offload.worker.images.docker_layers import LAYER_LABEL, PARENT_LABEL, EngineLayers, engine_name

if TYPE_CHECKING:
    from pathlib import Path


class ScriptedEngine:
    """Keeps images; those in `used` are a container's."""

    def __init__(self) -> None:
        self.images: dict[str, EngineImage] = {}
        self.used: set[str] = set()
        self.removed: list[str] = []

    def put(self, layer: str, size_bytes: int, below: str = "") -> None:
        labels = {LAYER_LABEL: layer, PARENT_LABEL: below}
        name = engine_name(layer)
        self.images[name] = EngineImage(f"sha256:{layer}", (name,), size_bytes, labels)

    def image_now(self, name: str) -> EngineImage | None:
        return self.images.get(name)

    def images_now(self, label: str) -> list[EngineImage]:
        return [image for image in self.images.values() if label in image.labels]

    def remove_image_now(self, name: str) -> bool:
        if name in self.used:
            return False
        found = self.images.pop(name, None) or self._nameless(name)
        self.removed.append(found.labels[LAYER_LABEL])
        return True

    def _nameless(self, image_id: str) -> EngineImage:
        (key,) = [key for key, image in self.images.items() if image.image_id == image_id]
        return self.images.pop(key)


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def layers(tmp_path: Path, engine: ScriptedEngine) -> EngineLayers:
    """Have room for 250 bytes, and three images of 100: two on one base, one alone."""
    made = EngineLayers(tmp_path / "docker", 250, engine)  # type: ignore[arg-type]  # scripted
    for number, (layer, below) in enumerate((("base", ""), ("old", "base"), ("new", "base"))):
        chain = (below, layer) if below else (layer,)
        engine.put(layer, 100 * len(chain), below)
        made.record(f"d-{layer}", ImageState(chain, python="/usr/bin/python3"))
        (tmp_path / "docker" / "used" / layer).touch()
        os.utime(tmp_path / "docker" / "used" / layer, (1000 + number, 1000 + number))
    return made


def test_what_layers_share_counts_once(layers: EngineLayers) -> None:
    assert layers.used_bytes == 300


def test_the_layer_that_was_not_used_for_longest_goes_first(
    layers: EngineLayers, engine: ScriptedEngine
) -> None:
    freed = layers.make_room()

    assert (freed, engine.removed) == (100, ["old"])
    assert layers.state_of("d-old") is None
    assert layers.state_of("d-new") is not None


def test_what_was_used_just_now_stays(layers: EngineLayers, engine: ScriptedEngine) -> None:
    layers.state_of("d-old")

    layers.make_room()

    assert engine.removed == ["new"]


def test_what_is_held_or_a_containers_stays_whatever_room_there_is(
    layers: EngineLayers, engine: ScriptedEngine
) -> None:
    hold = layers.hold(("base", "old"))
    engine.used.add(engine_name("new"))

    freed = layers.prune()

    assert (freed, engine.removed) == (0, [])
    assert hold is not None
    hold.release()
    assert (layers.prune(), engine.removed) == (100, ["old"])


def test_all_that_nobody_uses_is_pruned(layers: EngineLayers) -> None:
    assert layers.prune() == 300
    assert layers.steps() == []
    assert layers.hold(("base",)) is None


def test_an_image_whose_name_has_gone_to_another_is_removed(
    layers: EngineLayers, engine: ScriptedEngine
) -> None:
    labels = {LAYER_LABEL: "new", PARENT_LABEL: "base"}
    engine.images["nameless"] = EngineImage("sha256:older", (), 200, labels)

    layers.make_room()

    assert "new" in engine.removed[:1]
    assert engine_name("new") in engine.images


def test_only_one_builds_a_step_at_a_time(layers: EngineLayers) -> None:
    with layers.trying_lock("d") as is_first, layers.trying_lock("d") as is_second:
        assert (is_first, is_second) == (True, False)


def test_a_damaged_record_is_as_none(layers: EngineLayers) -> None:
    (layers.directory / "steps" / "d-new.json").write_text("{")

    assert layers.state_of("d-new") is None
    assert [step.digest for step in layers.steps()].count("d-new") == 0
