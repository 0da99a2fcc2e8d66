"""Images from a real registry: what they hold is what containers see, however hostile it is meant."""

from __future__ import annotations

import asyncio
import os
import shutil
import tarfile
from typing import TYPE_CHECKING

import pytest
from tests.support.images import Recorder, chain, look, make_builder, makings, run
from tests.support.oci import PASSWORD, USER, Layer, special, start_registry, tar
from tests.support.tiny_image import tiny_root, why_impossible

from offload.worker.images.references import architecture
from offload.worker.images.settings import ImageSettings
from offload.worker.ports import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.oci import Registry

    from offload.worker.images.builder import RootfsBuilder

CREDENTIALS = (("password", PASSWORD), ("username", USER))


@pytest.fixture(scope="module")
def base() -> Layer:
    why = why_impossible()
    if why:
        pytest.skip(why)
    return Layer(tiny_root())


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    if shutil.which("docker-registry") is None:
        pytest.skip("needs a registry: apt install docker-registry")
    started = start_registry(tmp_path_factory.mktemp("registry"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def closed_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    if shutil.which("docker-registry") is None:
        pytest.skip("needs a registry: apt install docker-registry")
    started = start_registry(tmp_path_factory.mktemp("closed"), is_closed_to_strangers=True)
    yield started
    started.close()


@pytest.fixture
def builder(tmp_path) -> RootfsBuilder:
    return make_builder(tmp_path)


def source(registry, name, secret=()):
    return ("registry", (f"{registry.address}/{name}",), (), None, secret)


def seen_in(builder, image, command):
    async def scenario() -> list[str]:
        hold = await builder.build(image, Recorder())
        seen = await look(builder, hold, command)
        hold.release()
        return seen

    return asyncio.run(scenario())


def test_an_image_is_fetched_and_steps_go_on_top(registry, builder, base):
    registry.push("team/base:1", [base], env=("FROM_BASE=yes",), folder="/srv")
    image = chain(source(registry, "team/base:1"), *run("echo $FROM_BASE > /opt/a"))

    async def scenario():
        hold = await builder.build(image, Recorder())
        return hold.root, await look(builder, hold, "cat /opt/a")

    root, seen = asyncio.run(scenario())

    assert seen == ["yes"]
    assert root.working_dir == "/srv"
    assert root.python == "/usr/bin/python3"


def test_layers_are_shared_between_images_and_fetched_once(registry, builder, base):
    registry.push("team/base:1", [base])
    registry.push("team/more:1", [base, Layer(tar(("opt/more", b"more")))])
    seen_in(builder, chain(source(registry, "team/base:1")), "true")
    recorder = Recorder()

    asyncio.run(builder.build(chain(source(registry, "team/more:1")), recorder))

    layers = [
        path for path in (builder.store.directory / "layers").iterdir() if "oci-" in path.name
    ]
    assert len(layers) == 2
    assert any("layer 2 of 2" in text for text in recorder.progress)


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_layers_of_every_compression_are_read(registry, builder, base, compression):
    if compression == "zstd" and shutil.which("zstd") is None:
        pytest.skip("needs zstd to make such a layer")
    pytest.importorskip("zstandard")
    layer = Layer(tar(("opt/how", compression.encode())), compression)
    registry.push(f"team/{compression}:1", [base, layer])

    assert seen_in(builder, chain(source(registry, f"team/{compression}:1")), "cat /opt/how") == [
        compression
    ]


def test_the_image_for_this_machine_is_taken_from_an_index(registry, builder, base):
    ours = registry.push("team/multi:ours", [base, Layer(tar(("opt/for", b"ours")))])
    other = registry.push(
        "team/multi:other", [base, Layer(tar(("opt/for", b"other")))], machine="s390x"
    )
    registry.push_index("team/multi:1", {"s390x": other, architecture()[0]: ours})

    assert seen_in(builder, chain(source(registry, "team/multi:1")), "cat /opt/for") == ["ours"]


def test_a_digest_names_one_image_for_ever(registry, builder, base):
    digest = registry.push("team/pinned:1", [base, Layer(tar(("opt/v", b"1")))])
    registry.push("team/pinned:1", [base, Layer(tar(("opt/v", b"2")))])

    pinned = source(registry, f"team/pinned@{digest}")

    assert seen_in(builder, chain(pinned), "cat /opt/v") == ["1"]


def test_whiteouts_take_away_what_lower_layers_have(registry, builder, base):
    low = Layer(
        tar(("opt/a", b"a"), ("opt/dir/x", b"x"), ("opt/dir/y", b"y"), ("opt/gone/z", b"z"))
    )
    high = Layer(
        tar(
            ("opt/.wh.a", b""),
            # The marker hides what is below whether it comes before or after the layer's own entries.
            ("opt/dir/new", b"new"),
            ("opt/dir/.wh..wh..opq", b""),
            ("opt/.wh.gone", b""),
        )
    )
    registry.push("team/white:1", [base, low, high])

    seen = seen_in(builder, chain(source(registry, "team/white:1")), "ls /opt /opt/dir")

    assert seen == ["/opt:", "dir", "", "/opt/dir:", "new"]


def test_a_folder_that_is_a_link_below_stays_one(registry, builder, base):
    low = Layer(
        tar(special("opt/real", tarfile.DIRTYPE), special("opt/link", tarfile.SYMTYPE, "real"))
    )
    registry.push("team/links:1", [base, low, Layer(tar(("opt/link/file", b"through")))])

    seen = seen_in(
        builder, chain(source(registry, "team/links:1")), "readlink /opt/link; cat /opt/real/file"
    )

    assert seen == ["real", "through"]


HOSTILE = {
    "a name with dots": tar(("../../../../tmp/offload-escaped", b"x")),
    "a whiteout with dots": tar(("opt/.wh...", b"")),
    "a link to the host and through it": tar(
        special("out", tarfile.SYMTYPE, "/../../../../../../tmp"),
        ("out/../../offload-escaped", b"x"),
    ),
    "a hard link with dots": tar(special("hard", tarfile.LNKTYPE, "../../../../etc/shadow")),
}


@pytest.mark.parametrize("layer", HOSTILE.values(), ids=HOSTILE)
def test_a_layer_that_leads_out_is_refused_and_leaves_nothing(registry, builder, base, layer):
    registry.push("team/hostile:1", [base, Layer(layer)], env=(f"N={len(layer)}",))

    with pytest.raises(ImageError, match="cannot be unpacked"):
        asyncio.run(builder.build(chain(source(registry, "team/hostile:1")), Recorder()))

    assert makings(builder) == []
    assert not os.path.exists("/tmp/offload-escaped")  # noqa: PTH110, S108 - where it would be


def test_an_absolute_link_leads_to_a_place_in_the_image(registry, builder, base):
    layer = tar(special("out", tarfile.SYMTYPE, "/opt"), ("out/offload-inside", b"inside"))
    registry.push("team/absolute:1", [base, Layer(layer)])

    seen = seen_in(builder, chain(source(registry, "team/absolute:1")), "cat /opt/offload-inside")

    assert seen == ["inside"]
    assert not os.path.exists("/opt/offload-inside")  # noqa: PTH110


def test_devices_of_a_layer_are_left_out(registry, builder, base):
    whiteout = special("usr", tarfile.CHRTYPE)  # numbered 0:0 it would hide the folder below
    disk = special("opt/disk", tarfile.BLKTYPE)
    disk.devmajor, disk.devminor = 8, 0
    registry.push("team/devices:1", [base, Layer(tar(disk, whiteout, ("opt/file", b"x")))])

    assert seen_in(builder, chain(source(registry, "team/devices:1")), "ls /opt") == ["file"]


def test_a_layer_may_not_be_larger_than_all_layers_may(registry, tmp_path, base):
    builder = make_builder(tmp_path, ImageSettings(max_bytes=1_000_000))
    registry.push("team/base:1", [base])

    with pytest.raises(ImageError, match="more than 1000000 bytes"):
        asyncio.run(builder.build(chain(source(registry, "team/base:1")), Recorder()))


def test_a_damaged_layer_is_refused(registry, builder, base):
    registry.push("team/damaged:1", [base, Layer(b"no archive at all" * 100, "none")])

    with pytest.raises(ImageError, match="cannot be unpacked"):
        asyncio.run(builder.build(chain(source(registry, "team/damaged:1")), Recorder()))


def test_an_image_that_is_not_there_is_named(registry, builder):
    with pytest.raises(ImageError, match=rf"there is no image {registry.address}/team/missing:1"):
        asyncio.run(builder.build(chain(source(registry, "team/missing:1")), Recorder()))


def test_a_registry_that_is_away_is_named(builder):
    with pytest.raises(ImageError, match="the registry cannot be reached"):
        asyncio.run(builder.build(chain(("registry", ("127.0.0.1:1/team/a:1",))), Recorder()))


def test_a_closed_registry_gives_to_those_it_knows(closed_registry, builder, base):
    closed_registry.push("team/base:1", [base])

    known = chain(source(closed_registry, "team/base:1", CREDENTIALS))

    assert seen_in(builder, known, "echo in") == ["in"]


@pytest.mark.parametrize(
    ("secret", "hint"),
    [((), "needs a name and a password"), ((("password", "x"), ("username", USER)), "is wrong")],
    ids=["none", "wrong"],
)
def test_a_closed_registry_gives_to_nobody_else(closed_registry, builder, base, secret, hint):
    closed_registry.push("team/base:1", [base])

    with pytest.raises(ImageError, match=hint):
        asyncio.run(
            builder.build(chain(source(closed_registry, "team/base:1", secret)), Recorder())
        )


def test_a_mirror_stands_in_for_docker_hub(registry, tmp_path, base):
    registry.push("library/tool:1", [base])
    builder = make_builder(tmp_path, ImageSettings(oci_mirror=registry.address))

    assert seen_in(builder, chain(("registry", ("tool:1",))), "echo here") == ["here"]
