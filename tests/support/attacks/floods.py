"""Attempts at taking more than is given: each takes what is bounded, so that it can be made without any wall as well."""

from __future__ import annotations

from tests.support.attacks.attempt import Attempt

# What a small container may have; see `stage`.
SMALL_MIB = 256
_MORE_MIB = 3 * SMALL_MIB

_BOOT = "the first code of every runtime's container sets this limit for good"

ATTEMPTS = (
    Attempt(
        "take memory at once",
        f"held = b'x' * ({_MORE_MIB} << 20); got = len(held)",
        is_small=True,
        may_end=True,
    ),
    Attempt(
        "take memory in many processes",
        f"""
ready, told = os.pipe()
children = []
for _ in range(12):
    child = os.fork()
    if child == 0:
        held = bytearray(os.urandom(1 << 20)) * {_MORE_MIB // 12}
        os.write(told, b'x'); signal.pause(); os._exit(0)
    children.append(child)
os.close(told)
taken = b''
while len(taken) < 12:
    data = os.read(ready, 12)
    if not data:
        break
    taken += data
    if any(os.waitpid(child, os.WNOHANG)[0] for child in children):
        break
got = len(taken) == 12
for child in children:
    try:
        os.kill(child, 9); os.waitpid(child, 0)
    except OSError:
        pass
""",
        is_small=True,
        may_end=True,
    ),
    Attempt(
        "take the kernel's memory for pipes",
        """
held, size = [], 0
while size < 768 << 20:
    ends = os.pipe(); held.append(ends); os.set_blocking(ends[1], False)
    try:
        fcntl.fcntl(ends[1], 1031, 1 << 20)
    except OSError:
        pass
    try:
        while True:
            size += os.write(ends[1], bytes(1 << 16))
    except BlockingIOError:
        pass
got = size
""",
        is_small=True,
        may_end=True,
    ),
    Attempt(
        "fork without end",
        """
children = []
try:
    for _ in range(900):
        child = os.fork()
        if child == 0:
            signal.pause(); os._exit(0)
        children.append(child)
    got = len(children)
finally:
    for child in children:
        os.kill(child, 9)
    for child in children:
        os.waitpid(child, 0)
""",
        may_end=True,
    ),
    Attempt(
        "start threads without end",
        """
threading.stack_size(65536)
until, threads = threading.Event(), []
try:
    for _ in range(900):
        thread = threading.Thread(target=until.wait, daemon=True)
        thread.start(); threads.append(thread)
    got = len(threads)
finally:
    until.set()
""",
        may_end=True,
    ),
    Attempt(
        "fill the disk",
        f"""
block, written = bytes(1 << 20), 0
try:
    for folder in ('/tmp', os.environ['HOME'], '/dev/shm'):
        with open(folder + '/offload-attack-big', 'wb', 0) as file:
            try:
                while written < {_MORE_MIB} << 20:
                    written += file.write(block)
            except OSError:
                pass
    got = written >= {_MORE_MIB} << 20
finally:
    for folder in ('/tmp', os.environ['HOME'], '/dev/shm'):
        os.remove(folder + '/offload-attack-big')
""",
        is_small=True,
        may_end=True,
    ),
    Attempt(
        "reserve the disk without writing",
        f"""
with open('/tmp/offload-attack-reserved', 'wb') as file:
    try:
        os.posix_fallocate(file.fileno(), 0, {_MORE_MIB} << 20); got = 'reserved'
    finally:
        os.remove('/tmp/offload-attack-reserved')
""",
        is_small=True,
        may_end=True,
    ),
    Attempt(
        "fill the table of files",
        """
os.mkdir('/tmp/offload-attack-many')
try:
    until = time.monotonic() + 20
    # Real disks are slow: that nothing stops it is shown by fewer.
    for number in range(20_000 if without_walls else 130_000):
        os.mknod(f'/tmp/offload-attack-many/{number}')
        if time.monotonic() > until:
            raise OSError('too slow to do harm')
    got = number
finally:
    subprocess.run(['rm', '-rf', '/tmp/offload-attack-many'])
""",
        is_small=True,
        may_end=True,
    ),
    Attempt(
        "open files without end",
        "resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)\n"
        "held = []\ntry:\n    held += [os.dup(0) for _ in range(6000)]; got = len(held)\n"
        "finally:\n    os.closerange(100, 7000)",
        may_end=True,
        also_held=_BOOT,
    ),
    Attempt(
        "keep every core busy",
        """
began = time.monotonic()
children = []
for _ in range(6):
    child = os.fork()
    if child == 0:
        while time.monotonic() < began + 1.5:
            pass
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
""",
        also_held="cores that nobody wants are for whoever asks: what counts is the neighbour",
        is_alone=True,
    ),
    Attempt(
        "dump a core onto the host",
        "resource.setrlimit(resource.RLIMIT_CORE, (-1, -1)); got = 'may dump'",
        is_kernels=True,
        also_held=_BOOT,
    ),
    Attempt(
        "flood the log",
        """
line, until = b'x' * 199 + b'\\n', time.monotonic() + 2.0
written = 0
while time.monotonic() < until:
    written += os.write(1, line * 20)
got = written > 24 << 20 and written
""",
        also_held="the worker reads no faster than its rate, whatever the container runs in",
        is_alone=True,
    ),
    Attempt(
        "flood the log with empty lines",
        """
until, written = time.monotonic() + 2.0, 0
while time.monotonic() < until:
    written += os.write(1, b'\\n' * 4096)
got = written > 1 << 20 and written
""",
        also_held="the worker reads no faster than its rate, whatever the container runs in",
        is_alone=True,
    ),
    Attempt(
        "go on after the container's end",
        # The kernel lets its parent go on before it has the arguments that it is looked for by.
        """
left = subprocess.Popen(['sleep', str(left_behind)], start_new_session=True)
while not read(f'/proc/{left.pid}/cmdline').startswith(b'sleep'):
    time.sleep(0.01)
""",
        is_alone=True,
    ),
)
