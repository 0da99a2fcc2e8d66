"""A server that is killed while containers of a class run with a caller's parameters goes on with them."""

import os
import signal

PROGRAM = """
import offload

app = offload.App("talkers")

@app.cls()
class Talker:
    language: str = offload.parameter()

    @offload.method()
    def say(self, seconds: float = 0.0) -> str:
        import threading
        threading.Event().wait(seconds)
        return self.language
"""

SPAWNS = """
import offload

talker = offload.Cls.from_name("talkers", "Talker")
print(talker(language="de").say.spawn(1.5).object_id)
"""

WAITS = """
import sys
import offload

talker = offload.Cls.from_name("talkers", "Talker")
print(offload.FunctionCall.from_id(sys.argv[1]).get(timeout=60), talker(language="fr").say.remote())
"""


def test_a_killed_server_goes_on_with_the_containers_of_a_class_with_parameters(user):
    deployed = user.run("deploy", user.write("talkers.py", PROGRAM))
    assert deployed.returncode == 0, deployed.stderr
    spawned = user.run_python(user.write("spawns.py", SPAWNS))
    assert spawned.returncode == 0, spawned.stderr
    os.kill(user.stack()["server_pid"], signal.SIGKILL)

    waited = user.run_python(user.write("waits.py", WAITS), words=(spawned.stdout.strip(),))

    assert waited.stdout == "de fr\n", waited.stderr
