"""Apps that stay: deployed, called by name from other programs, changed under way, and run on schedules."""

import json

from tests.support.acceptance import EXAMPLES, wait_for_line

SHOP = """
import offload

app = offload.App("shop")

@app.function()
def version() -> int:
    return {number}

@app.function()
def slow() -> int:
    print("began", flush=True)
    offload.Queue.from_name("gate", create_if_missing=True).get(timeout=60)
    return {number}
"""

CALLS_TWICE = """
import sys
import offload

version = offload.Function.from_name("shop", "version")
print("first", version.remote(), flush=True)
sys.stdin.readline()
print("second", version.remote(), version.spawn().get(), list(version.starmap([()] * 2)), flush=True)
"""

CALLS_SLOWLY = """
import offload

print("ended on", offload.Function.from_name("shop", "slow").remote(), flush=True)
"""

ASKS = """
import sys
import offload

print(offload.Function.from_name("shop", "version", **eval(sys.argv[1])).remote())
"""


def deploy(user, text, *words, name="shop.py"):
    return user.run("deploy", user.write(name, text), *words)


def open_the_gate(user):
    """Let go on what waits for it in a container."""
    user.run("queue", "put", "gate", "open")


def test_the_deploying_example_deploys_and_calls_by_name(user):
    done = user.run("run", str(EXAMPLES / "deploy_and_call.py"))
    listed = json.loads(user.run("app", "ls", "--json").stdout)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "version 1 of prices serves",
        "deployed again: nothing changed",
        "4 apples: 2.0",
        "each: [0.5, 0.75]",
        "a little later: 0.75",
        "receipt: 3 items: 2.00",
    ]
    assert [(app["app"]["name"], app["state"], app["tags"]) for app in listed] == [
        ("prices", "serving", {"team": "shop"})
    ]


def test_the_example_of_schedules_runs_by_itself_and_says_when(user):
    done = user.run("deploy", str(EXAMPLES / "cron_jobs.py"))
    follower = user.start("app", "logs", "cron-jobs", "-f")
    for _ in range(3):
        wait_for_line(follower, "polling")
    listed = json.loads(user.run("schedule", "ls", "--runs", "50", "--json").stdout)
    asked = user.run("schedule", "run-now", "cron-jobs::morning_report")
    wait_for_line(follower, "the report of today")
    paused = user.run("schedule", "pause", "cron-jobs::poll")
    shown = user.run("schedule", "ls")
    stopped = user.run("app", "stop", "cron-jobs")
    follower.communicate(timeout=60)

    assert done.stdout.splitlines() == [
        "Version 1 of cron-jobs in environment main serves.",
        '  Function.from_name("cron-jobs", "morning_report")  # runs 0 9 * * 1-5 (Europe/Berlin)',
        '  Function.from_name("cron-jobs", "poll")  # runs every 1 s',
    ]
    report, poll = listed
    assert (report["name"]["function"], report["runs"]) == ("morning_report", [])
    assert report["next_at"] > 0
    ticks = [run["tick"] for run in poll["runs"]]
    assert len(ticks) >= 3
    assert ticks == [ticks[0] - n for n in range(len(ticks))]
    assert {run["state"] for run in poll["runs"]} == {"fired"}
    assert {run["outcome"] for run in poll["runs"]} <= {"succeeded", "running"}
    assert asked.stdout.startswith("cron-jobs::morning_report runs: fc-")
    assert paused.stdout == "cron-jobs::poll is paused.\n"
    assert "paused" in shown.stdout
    assert stopped.returncode == 0


def test_a_program_that_runs_calls_the_new_version_from_its_next_call_on(user):
    deploy(user, SHOP.format(number=1))
    program = user.start_python(user.write("twice.py", CALLS_TWICE))
    wait_for_line(program, "first 1")
    done = deploy(user, SHOP.format(number=2))

    out, err = program.communicate("\n", timeout=60)

    assert done.stdout.startswith(
        "Version 2 of shop in environment main serves in place of version 1."
    )
    assert out == "second 2 2 [2, 2]\n", err


def test_what_runs_while_a_new_version_takes_over_ends_on_the_old_one(user):
    deploy(user, SHOP.format(number=1))
    follower = user.start("app", "logs", "shop", "-f")
    program = user.start_python(user.write("slowly.py", CALLS_SLOWLY))
    wait_for_line(follower, "began")

    done = deploy(user, SHOP.format(number=2))
    was_running = program.poll() is None
    open_the_gate(user)
    out, err = program.communicate(timeout=60)
    follower.communicate(timeout=60)

    assert done.returncode == 0
    assert was_running
    assert out == "ended on 1\n", err


def test_a_version_that_cannot_load_changes_nothing_and_says_why(user):
    deploy(user, SHOP.format(number=1))

    broken = deploy(user, SHOP.format(number="_missing") + "\nclass Late:\n    def __reduce__(self):\n"
                    "        return eval, ('1/0',)\n_missing = Late()\n")  # fmt: skip
    unbuildable = deploy(
        user,
        SHOP.format(number=3).replace(
            'offload.App("shop")',
            'offload.App("shop", image=offload.Image.from_registry("127.0.0.1:1/none"))',
        ),
    )
    asked = user.run_python(user.write("asks.py", ASKS), words=("{}",))
    history = json.loads(user.run("app", "history", "shop", "--json").stdout)

    assert broken.returncode == unbuildable.returncode == 3
    assert "does not start, so nothing was changed" in broken.stderr
    assert "ZeroDivisionError: division by zero" in broken.stderr
    assert "127.0.0.1:1" in unbuildable.stderr
    assert asked.stdout == "1\n"
    assert [version["version"] for version in history] == [1]


def test_versions_are_told_apart_rolled_back_tagged_and_stopped(user):
    asks = user.write("asks.py", ASKS)
    deploy(user, SHOP.format(number=1), "--tag", "first")
    again = deploy(user, SHOP.format(number=1))
    deploy(user, SHOP.format(number=2))

    pinned = user.run_python(asks, words=("{'version': 1}",)).stdout
    tagged = user.run_python(asks, words=("{'version': 'first'}",)).stdout
    rolled_back = user.run("app", "rollback", "shop")
    serving = user.run_python(asks, words=("{}",)).stdout
    tags = user.run("app", "tag", "shop", "owner=ann").stdout
    shown = user.run("app", "show", "shop").stdout
    user.run("app", "stop", "shop")
    refused = user.run_python(asks, words=("{}",))

    assert again.stdout.startswith("Nothing changed: version 1 of shop in environment main")
    assert (pinned, tagged, serving) == ("1\n", "1\n", "1\n")
    assert rolled_back.stdout == "Version 1 of shop serves in place of version 2.\n"
    assert tags == "App shop: owner=ann\n"
    assert "version 1 serves" in shown
    assert "is stopped: deploy it again" in refused.stderr


def test_the_same_program_in_two_environments_is_two_apps(user):
    asks = user.write("asks.py", ASKS)
    deploy(user, SHOP.format(number=1), "--env", "dev")
    deploy(user, SHOP.format(number=2), "--env", "prod")

    in_dev = user.run_python(asks, words=("{'environment_name': 'dev'}",)).stdout
    in_prod = user.run_python(asks, words=("{'environment_name': 'prod'}",)).stdout
    elsewhere = user.run_python(asks, words=("{}",))

    assert (in_dev, in_prod) == ("1\n", "2\n")
    assert "there is one in environment 'dev', 'prod'" in elsewhere.stderr


def test_an_edited_helper_is_another_version_and_a_program_with_classes_and_sets_is_not(user):
    user.write("helper.py", "FACTOR = 1\n")
    program = """
import offload
import helper

app = offload.App("shop")

class Unit:
    def __init__(self, name):
        self.name = name

@app.function()
def version(unit="m"):
    return helper.FACTOR if Unit(unit).name in {"m", "cm", "km", "mm"} else None
"""
    asks = user.write("asks.py", ASKS)
    first = deploy(user, program)
    same = deploy(user, program)
    before = user.run_python(asks, words=("{}",)).stdout
    user.write("helper.py", "FACTOR = 2\n")
    edited = deploy(user, program)
    after = user.run_python(asks, words=("{}",)).stdout

    assert first.stdout.startswith("Version 1")
    assert same.stdout.startswith("Nothing changed")
    assert edited.stdout.startswith("Version 2")
    assert (before, after) == ("1\n", "2\n")


def test_code_in_a_container_calls_its_own_version_and_other_apps_by_their_names(user):
    user.run(
        "deploy",
        user.write(
            "parts.py",
            "import offload\napp = offload.App('parts')\n"
            "@app.function()\ndef part(x: int = 0) -> str:\n    return f'part {x}'\n",
        ),
    )
    whole = """
import offload

app = offload.App("whole")

@app.function()
def helper() -> int:
    return {number}

@app.function()
def whole() -> str:
    print("began", flush=True)
    offload.Queue.from_name("gate", create_if_missing=True).get(timeout=60)
    return f"{{offload.Function.from_name('parts', 'part').remote(7)}} and helper {{helper.remote()}}"
"""
    program = """
import offload
print(offload.Function.from_name("whole", "whole").remote())
"""
    deploy(user, whole.format(number=1), name="whole.py")
    follower = user.start("app", "logs", "whole", "-f")
    asked = user.start_python(user.write("asked.py", program))
    wait_for_line(follower, "began")
    deploy(user, whole.format(number=2), name="whole.py")
    open_the_gate(user)

    out, err = asked.communicate(timeout=60)
    follower.communicate(timeout=60)

    assert out == "part 7 and helper 1\n", err


def test_a_module_is_deployed_by_its_name_and_an_app_with_its_parts_as_one(user):
    (user.folder / "team").mkdir()
    user.write("team/__init__.py", "")
    user.write(
        "team/parts.py",
        "import offload\npart = offload.App('part')\n"
        "@part.function()\ndef helps(x: int) -> int:\n    return x + 1\n",
    )
    user.write(
        "team/shop.py",
        "import offload\nfrom team.parts import helps, part\napp = offload.App('shop').include(part)\n"
        "@app.function()\ndef version() -> int:\n    return helps.remote(41)\n",
    )

    done = user.run("deploy", "team.shop")
    asked = user.run_python(user.write("asks.py", ASKS), words=("{}",))
    unknown = user.run("deploy", "team.nothing")

    assert done.stdout.splitlines()[1:] == [
        '  Function.from_name("shop", "helps")',
        '  Function.from_name("shop", "version")',
    ]
    assert asked.stdout == "42\n", asked.stderr
    assert (unknown.returncode, "There is no module 'team.nothing'" in unknown.stderr) == (4, True)
