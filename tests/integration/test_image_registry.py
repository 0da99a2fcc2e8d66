"""Images from a real registry: what they hold is what containers see, however hostile it is meant."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import tarfile
import zlib
from typing import TYPE_CHECKING

import pytest
from tests.support.builders import Builder, make, tree
from tests.support.images import Recorder, chain, run
from tests.support.oci import PASSWORD, USER, Layer, special, start_registry, tar
from tests.support.tiny_image import tiny_root, why_impossible

from offload.worker.images.references import architecture
from offload.worker.images.settings import ImageSettings
from offload.worker.ports import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.oci import Registry


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
def builder(request, tmp_path) -> Builder:
    return make("rootfs", request, tmp_path, has_base=False)


@pytest.fixture(params=["rootfs", "docker"])
def either(request, tmp_path) -> Builder:
    return make(request.param, request, tmp_path, has_base=False)


def source(registry, name, secret=()):
    return ("registry", (f"{registry.address}/{name}",), (), None, secret)


def seen_in(builder, image, command):
    async def scenario() -> list[str]:
        hold = await builder.build(image, Recorder())
        seen = await builder.look(hold, command)
        hold.release()
        return seen

    return asyncio.run(scenario())


def test_an_image_is_fetched_and_steps_go_on_top(registry, either, base):
    registry.push("team/base:1", [base], env=("FROM_BASE=yes",), folder="/srv")
    image = chain(source(registry, "team/base:1"), *run("echo $FROM_BASE > /opt/a"))

    async def scenario():
        hold = await either.build(image, Recorder())
        return hold.root, await either.look(hold, "cat /opt/a")

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


def test_whiteouts_take_away_what_lower_layers_have(registry, either, base):
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

    seen = seen_in(either, chain(source(registry, "team/white:1")), "ls /opt /opt/dir")

    assert seen == ["/opt:", "dir", "", "/opt/dir:", "new"]


def test_a_folder_that_is_a_link_below_stays_one(registry, either, base):
    low = Layer(
        tar(special("opt/real", tarfile.DIRTYPE), special("opt/link", tarfile.SYMTYPE, "real"))
    )
    registry.push("team/links:1", [base, low, Layer(tar(("opt/link/file", b"through")))])

    seen = seen_in(
        either, chain(source(registry, "team/links:1")), "readlink /opt/link; cat /opt/real/file"
    )

    assert seen == ["real", "through"]


def sparse(name, size):
    """Return an archive of one entry that claims a size it does not bring along."""
    info = tarfile.TarInfo(name)
    info.pax_headers = {
        "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": name, "GNU.sparse.realsize": str(size),
    }  # fmt: skip
    content = b"1\n0\n512\n".ljust(512, b"\0") + bytes(512)
    info.size = len(content)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


class Bomb(Layer):
    """A small layer whose first entry has a header of a gigabyte."""

    @property
    def data(self) -> bytes:
        head = tarfile.TarInfo("././@PaxHeader")
        head.type, head.size = tarfile.XHDTYPE, 1 << 30
        press = zlib.compressobj(1, wbits=31)
        zeros = bytes(1 << 20)
        pieces = [press.compress(head.tobuf(tarfile.USTAR_FORMAT))]
        pieces += [press.compress(zeros) for _ in range(1 << 10)]
        return b"".join((*pieces, press.flush()))


HOSTILE = {
    "a name with dots": tar(("../../../../tmp/offload-escaped", b"x")),
    "a whiteout with dots": tar(("opt/.wh...", b"")),
    "a link to the host and through it": tar(
        special("out", tarfile.SYMTYPE, "/../../../../../../tmp"),
        ("out/../../offload-escaped", b"x"),
    ),
    "a hard link with dots": tar(special("hard", tarfile.LNKTYPE, "../../../../etc/shadow")),
    "a hard link through a link": tar(
        special("up", tarfile.SYMTYPE, ".."),
        special("hard", tarfile.LNKTYPE, "up/../../etc/shadow"),
    ),
    "a whiteout of everything": tar(("opt/.wh.", b"")),
    "a whiteout of a path": tar(special("opt/.wh.a/../../etc", tarfile.DIRTYPE)),
    "a loop of links": tar(
        special("a", tarfile.SYMTYPE, "b"), special("b", tarfile.SYMTYPE, "a"), ("a/file", b"x")
    ),
    "a file as a folder": tar(("opt/file", b"x"), ("opt/file/below", b"x")),
    "a file of a terabyte": sparse("opt/huge", 1 << 40),
    "a path without an end": tar(("opt/" + "d/" * 4000 + "file", b"x")),
    "a name that is too long": tar(("opt/" + "n" * 300, b"x")),
}


@pytest.mark.parametrize("layer", HOSTILE.values(), ids=HOSTILE)
def test_a_layer_that_leads_out_is_refused_and_leaves_nothing(registry, either, layer):
    registry.push("team/hostile:1", [Layer(layer)], env=(f"N={len(layer)}",))

    with pytest.raises(ImageError, match="cannot be unpacked"):
        asyncio.run(either.build(chain(source(registry, "team/hostile:1")), Recorder()))

    assert either.makings() == []
    assert not os.path.exists("/tmp/offload-escaped")  # noqa: PTH110, S108 - where it would be


def test_a_layer_that_would_fill_the_memory_is_refused(registry, either):
    registry.push("team/bomb:1", [Bomb(b"bomb")])

    with pytest.raises(ImageError, match="it takes too much memory"):
        asyncio.run(either.build(chain(source(registry, "team/bomb:1")), Recorder()))

    assert either.makings() == []


def test_an_absolute_link_leads_to_a_place_in_the_image(registry, either, base):
    layer = tar(special("out", tarfile.SYMTYPE, "/opt"), ("out/offload-inside", b"inside"))
    registry.push("team/absolute:1", [base, Layer(layer)])

    seen = seen_in(either, chain(source(registry, "team/absolute:1")), "cat /opt/offload-inside")

    assert seen == ["inside"]
    assert not os.path.exists("/opt/offload-inside")  # noqa: PTH110


def test_devices_of_a_layer_are_left_out(registry, either, base):
    whiteout = special("usr", tarfile.CHRTYPE)  # numbered 0:0 it would hide the folder below
    disk = special("opt/disk", tarfile.BLKTYPE)
    disk.devmajor, disk.devminor = 8, 0
    registry.push("team/devices:1", [base, Layer(tar(disk, whiteout, ("opt/file", b"x")))])

    assert seen_in(either, chain(source(registry, "team/devices:1")), "ls /opt") == ["file"]


def test_tricks_that_do_no_harm_give_the_same_files_in_both(registry, request, tmp_path, base):
    tricks = (
        # Whiteouts of whiteouts, of what is not there, and of what the same layer has.
        ("opt/.wh..wh.x", b""), ("opt/.wh.nothing", b""), ("opt/own", b"own"), ("opt/.wh.own", b""),
        special("opt/kept", tarfile.DIRTYPE), ("opt/kept/new", b"new"), ("opt/.wh.kept", b""),
        # A link and a folder take each other's place; a link to the host is one of the image.
        special("opt/link", tarfile.SYMTYPE, "/etc"), special("opt/link", tarfile.DIRTYPE, mode=0o700),
        special("opt/below", tarfile.DIRTYPE), special("opt/folder", tarfile.SYMTYPE, "../../../../../etc/shadow"),
        special("opt/socket", tarfile.FIFOTYPE, mode=0o600), special("opt/disk", tarfile.BLKTYPE),
        special("opt/hard", tarfile.LNKTYPE, "/opt/own"), ("./././opt//odd", b"odd"), ("/opt/absolute", b"a"),
    )  # fmt: skip
    setuid = special("opt/setuid", tarfile.REGTYPE, mode=0o6755)
    low = tar(
        ("opt/x", b"x"), ("opt/own", b"old"), ("opt/kept/old", b"old"), ("opt/folder/old", b"old"),
        special("opt/below", tarfile.SYMTYPE, "/etc"),
    )  # fmt: skip
    registry.push("team/tricks:1", [base, Layer(low), Layer(tar(*tricks, setuid))])
    image = chain(source(registry, "team/tricks:1"))

    trees = {
        name: asyncio.run(
            tree(make(name, request, tmp_path / name, has_base=False), image, Recorder())
        )
        for name in ("rootfs", "docker")
    }

    seen = {
        line.split()[0]: line.split()[1] for line in trees["rootfs"] if line.startswith("/opt/")
    }
    assert seen == {
        "/opt/absolute": "-rw-r--r--", "/opt/below": "drwxr-xr-x", "/opt/folder": "lrwxrwxrwx", "/opt/hard": "-rw-r--r--",
        "/opt/kept": "drwxr-xr-x", "/opt/kept/new": "-rw-r--r--", "/opt/link": "drwx------", "/opt/odd": "-rw-r--r--",
        "/opt/own": "-rw-r--r--", "/opt/setuid": "-rwsr-sr-x", "/opt/socket": "prw-------", "/opt/x": "-rw-r--r--",
    }  # fmt: skip
    assert set(trees["docker"]) ^ set(trees["rootfs"]) == set()


@pytest.mark.parametrize("name", ["rootfs", "docker"])
def test_where_debian_has_no_such_python_the_mirrors_image_of_it_is_taken(
    registry, request, tmp_path, base, name
):
    registry.push("library/python:3.10-slim", [base, Layer(tar(("opt/from", b"mirror")))])
    settings = ImageSettings(oci_mirror=registry.address)
    builder = make(name, request, tmp_path, settings, has_base=False)

    seen = seen_in(builder, chain(("debian_slim", (), (("python", "3.10"),))), "cat /opt/from")

    assert seen == ["mirror"]


@pytest.mark.parametrize("name", ["rootfs", "docker"])
def test_a_python_that_nobody_has_names_what_to_set(registry, request, tmp_path, base, name):
    registry.push("team/base:1", [base])
    settings = ImageSettings(python_mirror="http://127.0.0.1:1/")
    builder = make(name, request, tmp_path, settings, has_base=False)

    with pytest.raises(
        ImageError, match=r"OFFLOAD_PYTHON_MIRROR .* from_registry\('python:3.10-slim'\)"
    ):
        asyncio.run(
            builder.build(
                chain(source(registry, "team/base:1"), ("add_python", ("3.10",))), Recorder()
            )
        )


def test_a_layer_may_not_be_larger_than_all_layers_may(registry, request, tmp_path, base):
    builder = make("rootfs", request, tmp_path, ImageSettings(max_bytes=1_000_000), has_base=False)
    registry.push("team/base:1", [base])

    with pytest.raises(ImageError, match="more than 1000000 bytes"):
        asyncio.run(builder.build(chain(source(registry, "team/base:1")), Recorder()))


def test_a_damaged_layer_is_refused(registry, either, base):
    registry.push("team/damaged:1", [base, Layer(b"no archive at all" * 100, "none")])

    with pytest.raises(ImageError, match="cannot be unpacked"):
        asyncio.run(either.build(chain(source(registry, "team/damaged:1")), Recorder()))


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


def test_a_mirror_stands_in_for_docker_hub(registry, request, tmp_path, base):
    registry.push("library/tool:1", [base])
    builder = make(
        "rootfs", request, tmp_path, ImageSettings(oci_mirror=registry.address), has_base=False
    )

    assert seen_in(builder, chain(("registry", ("tool:1",))), "echo here") == ["here"]
