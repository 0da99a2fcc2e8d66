"""A worker that does not share the caller's machine. Needs root, and the mirror that apt is configured for."""

from __future__ import annotations

import json
import os
import shutil
import sys

import pytest
from tests.support.site import running_site

PROGRAM = """
import sibling
import offload
import click

app = offload.App("elsewhere")

@app.function()
def where():
    import os, platform, sys
    with open("/etc/os-release") as file:
        name = dict(line.strip().split("=") for line in file)["ID"]
    return [name, sys.executable, platform.python_version_tuple()[1], sibling.VALUE, os.path.exists("HERE")]

@app.function()
def lacks_a_package():
    return click.__name__

@app.function()
def imports_late():
    import click
    return click.__name__
"""

# Another machine is one that booted another time. It is the caller's that is made so: a worker needs its /proc whole.
ELSEWHERE = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'


@pytest.fixture(scope="module")
def ann(tmp_path_factory):
    if os.getuid() != 0 or shutil.which("unshare") is None or shutil.which("mount") is None:
        pytest.skip("only root can make a program believe that it is on another machine")
    if shutil.which("mmdebstrap") is None or sys.version_info[:2] not in ((3, 11), (3, 13)):
        pytest.skip("needs mmdebstrap, and a Python that a Debian has")
    with running_site(tmp_path_factory.mktemp("site")) as site:
        boot_id = site.home / "boot_id"
        boot_id.write_text("another-boot\n")
        shell = ("sh", "-c", ELSEWHERE, str(boot_id))
        site.prefix = ("unshare", "--mount", "--propagation", "slave", *shell)
        site.start_worker("far")
        site.user.write("sibling.py", "VALUE = 41\n")
        here = site.user.home / "work"
        site.program = site.user.write("elsewhere.py", PROGRAM.replace("HERE", str(here)))
        yield site


@pytest.mark.timeout(600)
def test_a_function_runs_in_a_minimal_debian_of_the_callers_version_with_the_callers_modules(ann):
    done = ann.user.run("run", "--json", f"{ann.program}::where", seconds=400, prefix=ann.prefix)

    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["result"] == [
        "debian", "/usr/bin/python3", str(sys.version_info.minor), 41, False,
    ]  # fmt: skip


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["lacks_a_package", "imports_late"])
def test_a_package_that_is_missing_there_is_to_be_put_into_an_image(ann, name):
    done = ann.user.run("run", f"{ann.program}::{name}", seconds=400, prefix=ann.prefix)

    assert done.returncode != 0
    assert "No module named 'click'" in done.stderr
    assert 'image=offload.Image.debian_slim().pip_install("click")' in done.stderr


DEPLOYED = """
import offload

app = offload.App("far")

@app.function()
def where():
    with open("/etc/os-release") as file:
        return dict(line.strip().split("=") for line in file)["ID"]
"""
LACKS = DEPLOYED.replace("import offload", "import click\nimport offload", 1).replace(
    "def where():", "def where():\n    click.echo(1)"
)
ASKS = """
import offload

print(offload.Function.from_name("far", "where").remote())
"""


@pytest.mark.timeout(600)
def test_a_deployed_function_runs_there_too_and_one_that_lacks_a_package_is_not_deployed(ann):
    good, bad = (
        ann.user.write(f"{n}.py", text) for n, text in (("far", DEPLOYED), ("lacks", LACKS))
    )

    deployed = ann.user.run("deploy", good, seconds=400, prefix=ann.prefix)
    asked = ann.user.run_python(ann.user.write("asks.py", ASKS))
    refused = ann.user.run("deploy", bad, seconds=400, prefix=ann.prefix)

    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    assert asked.stdout == "debian\n", asked.stderr
    assert refused.returncode != 0
    assert 'image=offload.Image.debian_slim().pip_install("click")' in refused.stderr
