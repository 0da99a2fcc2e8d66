"""Attempts at the platform itself, through the one socket that every container has."""

from __future__ import annotations

from tests.support.attacks.attempt import Attempt

_HELD = "the worker and the server see to it, whatever the container runs in"

_RUNNERS_SOCKET = """
import pickle
from offload.wire import guest
runner = None
for name in os.listdir('/proc/self/fd'):
    try:
        if stat.S_ISSOCK(os.fstat(int(name)).st_mode) and int(name) > 2:
            sock = socket.socket(fileno=os.dup(int(name)))
            if sock.family == socket.AF_UNIX and sock.type == socket.SOCK_STREAM:
                runner = runner or sock
    except OSError:
        pass
runner.setblocking(True)
class Bomb:
    def __reduce__(self):
        return exec, (f"import os; open({marker!r} + '-' + str(os.getpid()), 'w').close()",)
bomb = guest.Body('pickle', pickle.dumps(Bomb()))
forged = guest.Body('pickle', pickle.dumps('forged'))
def result(input_id, attempt, value): return guest.Result(input_id, attempt, value, None, False, 0, 0.0, 0.0)
"""

ATTEMPTS = (
    Attempt(
        "claim the input of another container",
        _RUNNERS_SOCKET
        + "runner.sendall(guest.encode(guest.Results(tuple(result(other_input, n, forged) for n in range(4)))))",
        may_end=True,
        also_held=_HELD,
    ),
    Attempt(
        "yield items for the input of another container",
        _RUNNERS_SOCKET + "runner.sendall(guest.encode(guest.Item(other_input, 1, 1, forged)))",
        may_end=True,
        also_held=_HELD,
    ),
    Attempt(
        "print in the name of another input",
        _RUNNERS_SOCKET
        + "runner.sendall(guest.encode(guest.Outputs((guest.Output(other_input, 'stdout', 'said by another'),))))",
        may_end=True,
        also_held=_HELD,
    ),
    Attempt(
        "have the server unpickle a bomb as a result",
        _RUNNERS_SOCKET
        + "runner.sendall(guest.encode(guest.Results((result(other_input, 1, bomb),)))); got = None",
        may_end=True,
        also_held=_HELD,
    ),
    Attempt(
        "have the server unpickle a bomb as an exception",
        _RUNNERS_SOCKET
        + """
class Explosive(Exception):
    def __reduce__(self):
        return Bomb().__reduce__()
raise Explosive('bang')
""",
        also_held=_HELD,
        is_alone=True,
    ),
    Attempt(
        "announce a frame of four gigabytes",
        _RUNNERS_SOCKET
        + "runner.sendall(struct.pack('<I', 0xFFFFFFFF) + bytes(1 << 20)); time.sleep(0.3)",
        may_end=True,
        also_held=_HELD,
    ),
    Attempt(
        "send frames of noise",
        _RUNNERS_SOCKET
        + "runner.sendall(b''.join(struct.pack('<I', 33) + os.urandom(33) for _ in range(1000))); time.sleep(0.3)",
        may_end=True,
        also_held=_HELD,
    ),
    Attempt(
        "send more lines in one frame than any runner",
        _RUNNERS_SOCKET
        + "runner.sendall(guest.encode(guest.Outputs(tuple(guest.Output('', 'stdout', 'x') for _ in range(100_000))))); time.sleep(0.3)",
        may_end=True,
        also_held=_HELD,
    ),
    Attempt(
        "claim to be a template, or to have just begun",
        _RUNNERS_SOCKET
        + "for m in (guest.Loaded(None), guest.Hello(guest.GUEST_PROTOCOL, 1, '3.11.2')):\n    runner.sendall(guest.encode(m))\ntime.sleep(0.3)",
        may_end=True,
        also_held=_HELD,
    ),
    Attempt(
        "send nothing any more, and read nothing",
        _RUNNERS_SOCKET + "runner.shutdown(socket.SHUT_WR); time.sleep(0.3)",
        may_end=True,
        also_held=_HELD,
    ),
)
