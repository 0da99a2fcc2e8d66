"""Debian made here, with packages of its own and of Python's. Needs the mirrors that apt and pip are configured for."""

from __future__ import annotations

import json
import shutil
import sys

import pytest
from tests.support.acceptance import EXAMPLES, User

PROGRAM = """
import offload

slim = offload.Image.debian_slim()
tools = slim.apt_install("tree").pip_install("six", "iniconfig")
app = offload.App("debian")

with tools.imports():
    import six

@app.function(image=tools)
def both():
    import subprocess
    tree = subprocess.run(["tree", "--version"], capture_output=True, text=True).stdout
    return [six.__version__, tree.split()[0], six.__file__, six.__cached__]

@app.function(image=slim.env({"SECOND": "1"}).pip_install("six", "iniconfig"))
def second():
    import os, six
    return [six.__version__, os.environ["SECOND"]]
"""


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    someone = User(tmp_path_factory.mktemp("debian"))
    yield someone
    someone.end()


PIPELINE = """\
6 sales of 3 days
apples    6 ######
plums     4 ####
pears     3 ###
3 customers
cleaned: ['clean/1-monday.csv', 'clean/2-tuesday.csv', 'clean/3-wednesday.csv']
asked over HTTP: {"product":"plums","sold":4}
"""

pytestmark = [
    pytest.mark.skipif(shutil.which("mmdebstrap") is None, reason="needs mmdebstrap"),
    pytest.mark.skipif(
        sys.version_info[:2] not in ((3, 11), (3, 13)),
        reason="no Debian has this version of Python",
    ),
    pytest.mark.timeout(600),
]


def test_packages_of_debian_and_of_python_are_there_and_a_second_image_links_the_same(user):
    program = user.write("debian.py", PROGRAM)

    first = user.run("run", "--json", f"{program}::both", seconds=400)
    second = user.run("run", "--json", f"{program}::second", seconds=60)

    assert first.returncode == 0, first.stdout + first.stderr
    version, tree, file, compiled = json.loads(first.stdout)["result"]
    assert (tree, version) == ("tree", json.loads(second.stdout)["result"][0])
    assert compiled.endswith(".pyc")
    (images,) = user.data_dir.glob("workers/*/images")
    for path in (file, compiled):
        copies = list(images.glob(f"layers/*/fs{path}"))
        assert len(copies) == 2
        assert len({copy.stat().st_ino for copy in copies}) == 1


def test_the_pipeline_runs_once_here_and_every_night_where_it_is_deployed(user):
    example = str(EXAMPLES / "pipeline.py")
    user.run("secret", "create", "customers", "CUSTOMER_KEY=of our own", seconds=60)

    done = user.run("run", example, seconds=400)
    deployed = user.run("deploy", example, seconds=120)
    asked = user.run("schedule", "ls", "--json", seconds=60)
    user.run("app", "stop", "pipeline", seconds=60)

    assert done.returncode == 0, done.stderr
    assert done.stdout == PIPELINE
    assert deployed.returncode == 0, deployed.stderr
    assert "nightly" in deployed.stdout
    assert "runs 0 3 * * * (Europe/Berlin)" in deployed.stdout
    [nightly] = json.loads(asked.stdout)
    assert nightly["name"] == {"app": "pipeline", "function": "nightly", **nightly["name"]}
