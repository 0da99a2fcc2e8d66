"""The examples of web endpoints, run as a user does, with their output compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.acceptance import User

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

ENDPOINTS = """\
200 {"user":7,"greeting":"hi"}
422 {"detail":[{"loc":["path","user_id"],"msg":"it must be an integer"}]}
201 {"ordered":"tea","count":2}
422 {"detail":[{"loc":["body","order","count"],"msg":"it must be an integer"}]}
200 data: tick 0

data: tick 1
200 GET /old/pages
200 1 then 200 2
200 10
{'user': 8, 'greeting': 'hello'}
"""
CHAT = """\
ann hears: ann is here
ann hears: bob is here
bob hears: bob is here
bob hears: ann: good morning
ann hears: ann: good morning
ann hears: bob has left
"""


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    someone = User(tmp_path_factory.mktemp("web"))
    yield someone
    someone.end()


@pytest.mark.parametrize(
    ("name", "said"), [("web_endpoints.py", ENDPOINTS), ("websocket_chat.py", CHAT)]
)
def test_an_example_says_what_it_should(user, name, said):
    done = user.run("run", str(EXAMPLES / name), seconds=120)

    assert done.returncode == 0, done.stderr
    assert done.stdout == said
    assert "http://127.0.0.1:" in done.stderr


def test_a_deployed_endpoint_is_printed_with_its_address_and_answers_there(user):
    program = user.write(
        "site.py",
        """
import offload

app = offload.App("site")

@app.function(cpu=0.25, memory=128)
@app.web_endpoint(path="/{name}")
def greet(name: str):
    return f"hello {name}"
""",
    )
    asking = user.write(
        "ask.py",
        """
import urllib.request
import offload

url = offload.Function.from_name("site", "greet").get_web_url()
print(url)
print(urllib.request.urlopen(url + "/you").read().decode())
""",
    )

    deployed = user.run("deploy", program, seconds=60)
    again = user.run("deploy", "--json", program, seconds=60)
    asked = user.run_python(asking, seconds=60)

    url, answer = asked.stdout.splitlines()
    assert f"  {url}\n" in deployed.stdout
    assert json.loads(again.stdout)["urls"] == [url]
    assert answer == '"hello you"'
