"""What every image builder promises."""

from __future__ import annotations

import asyncio
import dataclasses
import tarfile
from typing import TYPE_CHECKING

import pytest
from tests.support.builders import Builder, make, tree
from tests.support.images import BASE, Recorder, chain, run
from tests.support.oci import special, tar

from offload.worker.core.content import Content
from offload.worker.core.images import AttachedFiles
from offload.worker.images.chain import content_sha256
from offload.worker.ports import ImageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["rootfs", "docker"])
def builder(request: pytest.FixtureRequest, tmp_path: Path) -> Builder:
    return make(request.param, request, tmp_path)


def files(*entries: object) -> Content:
    return Content("tar", tar(*entries))


def test_steps_change_the_root_in_their_order(builder: Builder) -> None:
    image = chain(BASE, *run("echo one > /opt/a", "echo two >> /opt/a", "rm /etc/passwd"))

    async def scenario() -> list[str]:
        hold = await builder.build(image, Recorder())
        return await builder.look(hold, "cat /opt/a; ls /etc/passwd 2>&1 || true")

    seen = asyncio.run(scenario())

    assert seen[:2] == ["one", "two"]
    assert "No such file" in seen[2]


def test_the_environment_the_folder_and_the_interpreter_are_told(builder: Builder) -> None:
    image = chain(
        BASE,
        ("env", (), (("A", "1"),)),
        ("workdir", ("/srv/app",)),
        *run("echo $A > here"),
        ("entrypoint", ("/bin/env",)),
    )

    async def scenario() -> tuple[object, ...]:
        hold = await builder.build(image, Recorder())
        return hold.root, hold.python_version, await builder.look(hold, "cat /srv/app/here")

    root, version, seen = asyncio.run(scenario())

    assert dict(root.env)["A"] == "1"
    assert (root.working_dir, root.entrypoint, root.python) == (
        "/srv/app",
        ("/bin/env",),
        "/usr/bin/python3",
    )
    assert version.startswith("3.")
    assert seen == ["1"]


def test_a_step_that_was_built_is_not_run_again(builder: Builder) -> None:
    first, second = Recorder(), Recorder()
    steps = (BASE, *run("echo made"))

    async def scenario() -> None:
        await builder.build(chain(*steps), first)
        await builder.build(chain(*steps, ("env", (), (("A", "1"),))), second)

    asyncio.run(scenario())

    assert "made" in first.lines
    assert "made" not in second.lines


def test_of_many_who_want_an_image_at_once_one_builds_it_and_all_hear(
    builder: Builder,
) -> None:
    # Each run leaves another number, so that a second one would be seen.
    image = chain(
        BASE, *run("cat /proc/sys/kernel/random/uuid | { read u; echo $u > /opt/id; echo $u; }")
    )
    listeners = [Recorder() for _ in range(5)]

    async def scenario() -> list[list[str]]:
        holds = await asyncio.gather(*(builder.build(image, each) for each in listeners))
        return [await builder.look(hold, "cat /opt/id") for hold in holds]

    seen = asyncio.run(scenario())

    assert len({tuple(lines) for lines in seen}) == 1
    assert all(listener.lines == listeners[0].lines for listener in listeners)


def test_of_listeners_with_the_same_audience_one_is_told_the_lines(builder: Builder) -> None:
    image = chain(BASE, *run("echo hello"))
    listeners = [Recorder("app"), Recorder("app"), Recorder("other")]

    async def scenario() -> None:
        await asyncio.gather(*(builder.build(image, each) for each in listeners))

    asyncio.run(scenario())

    assert ["hello" in listener.lines for listener in listeners] == [True, False, True]
    assert all(listener.progress for listener in listeners)


def test_two_images_with_a_common_step_build_it_once(builder: Builder) -> None:
    common = (BASE, *run("cat /proc/sys/kernel/random/uuid > /opt/id"))
    one, other = chain(*common, *run("touch /opt/1")), chain(*common, *run("touch /opt/2"))

    async def scenario() -> list[list[str]]:
        holds = await asyncio.gather(*(builder.build(image, Recorder()) for image in (one, other)))
        return [await builder.look(hold, "cat /opt/id; ls /opt") for hold in holds]

    seen = asyncio.run(scenario())

    assert seen[0][0] == seen[1][0]
    assert (seen[0][1:], seen[1][1:]) == (["1", "id"], ["2", "id"])


def test_a_failed_step_is_told_with_its_command_its_code_and_its_last_lines(
    builder: Builder,
) -> None:
    image = chain(BASE, *run("echo fine", "echo oh no >&2; exit 7", "echo never"))

    with pytest.raises(ImageError) as caught:
        asyncio.run(builder.build(image, Recorder()))

    assert "step 3 of 4" in str(caught.value)
    assert "'echo oh no >&2; exit 7' ended with exit code 7: oh no" in str(caught.value)
    assert (caught.value.exit_code, caught.value.last_lines) == (7, ("oh no",))
    assert builder.makings() == []


def test_what_came_before_a_failed_step_is_kept(builder: Builder) -> None:
    steps = (BASE, *run("echo once"))
    again = Recorder()

    async def scenario() -> None:
        with pytest.raises(ImageError):
            await builder.build(chain(*steps, *run("false")), Recorder())
        await builder.build(chain(*steps, *run("true")), again)

    asyncio.run(scenario())

    assert "once" not in again.lines


def test_progress_is_told_step_by_step_and_ends(builder: Builder) -> None:
    recorder = Recorder()

    asyncio.run(builder.build(chain(BASE, *run("true", "echo hello")), recorder))

    assert recorder.progress[0] == "image building, step 2 of 3: run_commands true"
    assert recorder.progress[-1] == ""
    assert "hello" in recorder.lines


def test_a_build_that_nobody_waits_for_ends_and_leaves_nothing(builder: Builder) -> None:
    image = chain(BASE, *run("echo begun; touch /opt/half; sleep 1000"))
    recorder = Recorder()

    async def scenario() -> None:
        building = asyncio.create_task(builder.build(image, recorder))
        await recorder.has_line.wait()
        building.cancel()
        await asyncio.wait([building])

    asyncio.run(scenario())

    assert builder.makings() == []
    assert builder.store.state_of(image.digest) is None


def test_one_who_gives_up_does_not_end_the_build_of_others(builder: Builder) -> None:
    image = chain(
        BASE, *run("echo begun; while ! [ -e /proc/1/nothing ]; do break; done; sleep 0.3")
    )
    first, second = Recorder(), Recorder()

    async def scenario() -> None:
        impatient = asyncio.create_task(builder.build(image, first))
        patient = asyncio.create_task(builder.build(image, second))
        await first.has_line.wait()
        impatient.cancel()
        await patient

    asyncio.run(scenario())

    assert builder.store.state_of(image.digest) is not None


def test_a_chain_with_a_false_name_is_refused(builder: Builder) -> None:
    honest = chain(BASE, *run("echo mine"))
    lying = dataclasses.replace(
        honest,
        steps=(honest.steps[0], dataclasses.replace(honest.steps[1], arguments=("echo yours",))),
    )

    with pytest.raises(ImageError, match="not named by its content"):
        asyncio.run(builder.build(lying, Recorder()))


def test_secrets_are_seen_by_their_step_alone_and_are_in_no_layer(builder: Builder) -> None:
    secret = "a-very-secret-token"  # noqa: S105 - what is looked for
    image = chain(
        BASE,
        ("run_commands", ("echo ${#TOKEN} > /opt/length",), (), None, (("TOKEN", secret),)),
        *run("echo ${TOKEN:-none} > /opt/later"),
    )

    async def scenario() -> tuple[list[str], bytes]:
        hold = await builder.build(image, Recorder())
        return await builder.look(hold, "cat /opt/length /opt/later; env"), builder.kept(hold)

    seen, kept = asyncio.run(scenario())

    assert seen[:2] == [str(len(secret)), "none"]
    assert not any(line.startswith("TOKEN") for line in seen)
    assert secret.encode() not in kept


def test_files_are_added_through_the_links_of_the_image(builder: Builder) -> None:
    image = chain(
        BASE,
        *run("mkdir -p /srv/real && ln -s /srv/real /data"),
        ("add_files", (), (), files(("data/a.txt", b"hello"))),
    )

    async def scenario() -> list[str]:
        return await builder.look(
            await builder.build(image, Recorder()), "readlink /data; cat /srv/real/a.txt"
        )

    assert asyncio.run(scenario()) == ["/srv/real", "hello"]


def test_files_that_lead_out_of_the_image_are_refused(builder: Builder) -> None:
    image = chain(BASE, ("add_files", (), (), files(("../../escaped", b"x"))))

    with pytest.raises(ImageError, match="leads out of the image"):
        asyncio.run(builder.build(image, Recorder()))


def test_attached_files_are_on_top_and_build_nothing(builder: Builder) -> None:
    content = files(("opt/code/a.py", b"print(1)"))
    attached = AttachedFiles(content, content_sha256(content))
    recorder = Recorder()

    async def scenario() -> list[str]:
        await builder.build(chain(BASE), Recorder())
        hold = await builder.build(chain(BASE, attached=(attached,)), recorder)
        return await builder.look(hold, "cat /opt/code/a.py")

    assert asyncio.run(scenario()) == ["print(1)"]
    assert recorder.lines == []


def test_attached_files_that_are_no_plain_files_are_refused(builder: Builder) -> None:
    content = files(special("link", tarfile.SYMTYPE, "/etc"))
    attached = AttachedFiles(content, content_sha256(content))

    with pytest.raises(ImageError, match="no plain file"):
        asyncio.run(builder.build(chain(BASE, attached=(attached,)), Recorder()))

    assert builder.makings() == []


def test_an_interpreter_of_another_version_than_the_codes_is_refused(
    builder: Builder,
) -> None:
    with pytest.raises(
        ImageError,
        match=r"compiled code of Python 3\.1, and its image has Python 3\.\d+: use an image",
    ):
        asyncio.run(builder.build(chain(BASE, python="3.1"), Recorder()))


def test_a_base_of_another_version_is_refused_before_a_step_is_run_on_it(
    builder: Builder,
) -> None:
    recorder = Recorder()
    image = chain(BASE, ("workdir", ("/srv",)), ("pip_install", ("numpy",)), python="3.1")

    with pytest.raises(ImageError, match=r"compiled code of Python 3\.1, and its image has Python"):
        asyncio.run(builder.build(image, recorder))

    assert recorder.lines == []


def test_a_step_may_bring_another_python_than_the_base(builder: Builder) -> None:
    recorder = Recorder()
    image = chain(BASE, *run("echo so far"), python="3.1")

    with pytest.raises(ImageError, match=r"compiled code of Python 3\.1, and its image has Python"):
        asyncio.run(builder.build(image, recorder))

    assert "so far" in recorder.lines


def test_an_image_without_an_interpreter_is_refused(builder: Builder) -> None:
    with pytest.raises(ImageError, match="has no Python on its PATH"):
        asyncio.run(builder.build(chain(BASE, *run("rm /usr/bin/python3")), Recorder()))


def test_an_image_in_use_is_not_pruned(builder: Builder) -> None:
    async def scenario() -> list[str]:
        hold = await builder.build(chain(BASE, *run("echo kept > /opt/a")), Recorder())
        builder.store.prune()
        seen = await builder.look(hold, "cat /opt/a")
        hold.release()
        builder.store.prune()
        return seen

    assert asyncio.run(scenario()) == ["kept"]
    assert builder.store.steps() == []


def test_a_build_cannot_reach_the_host(builder: Builder) -> None:
    image = chain(
        BASE,
        *run(
            "ls /work /root/.ssh 2>/dev/null && exit 1; echo x > /proc/sys/kernel/core_pattern && exit 2;"
            "ls /dev/vda /dev/sda 2>/dev/null && exit 3; id -u > /opt/id; cat /proc/self/uid_map > /opt/map"
        ),
    )

    async def scenario() -> list[str]:
        return await builder.look(
            await builder.build(image, Recorder()), "cat /opt/id; cat /opt/map"
        )

    user, mapped = asyncio.run(scenario())[:2]

    assert user == "0"
    # In a user namespace the build's root is not the host's; an engine of root's has none.
    assert (mapped.split()[1] == "0") == builder.maps_root


def test_both_builders_make_the_same_files_of_a_chain(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    image = chain(
        BASE,
        ("env", (), (("GREETING", "hello"),)),
        ("workdir", ("/srv/app",)),
        *run(
            "umask 027; mkdir -p a/b; echo $GREETING > a/b/c; ln -s b a/link; ln a/b/c a/hard",
            "rm -r /usr/lib/python3*/email /etc/passwd; touch /opt/x; mkdir /opt/gone",
            "rm -r /opt/gone; cat /proc/self/mounts > /dev/null; touch /var/left /run/not-kept",
        ),
        (
            "add_files",
            (),
            (),
            files(("opt/deep/er/file", b"1"), special("opt/empty", tarfile.DIRTYPE)),
        ),
        ("add_files", (), (), files(("srv/app/a/link/through", b"2"))),
        *run(
            "rm /opt/deep/er/file; mkdir /opt/deep/er/file; rm -r /srv/app/a/b; ln -s / /srv/app/a/b"
        ),
    )

    trees = {
        name: asyncio.run(tree(make(name, request, tmp_path / name), image, Recorder()))
        for name in ("rootfs", "docker")
    }

    assert any(line.startswith("/opt/deep/er/file d") for line in trees["rootfs"])
    assert set(trees["docker"]) ^ set(trees["rootfs"]) == set()
