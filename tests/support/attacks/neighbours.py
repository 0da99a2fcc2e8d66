"""Attempts at processes of the host and of other containers, their memory and what they share."""

from __future__ import annotations

from tests.support.attacks.attempt import Attempt

ATTEMPTS = (
    Attempt(
        "find a token in the environment of any process",
        "got = [p for p in glob.glob('/proc/[0-9]*/environ') + glob.glob('/proc/[0-9]*/task/*/environ')\n"
        "       if b'TOKEN' in read(p)]",
    ),
    Attempt(
        "find a token in the arguments of any process",
        "got = [p for p in glob.glob('/proc/[0-9]*/cmdline') if b'token' in read(p) and p != f'/proc/{os.getpid()}/cmdline']",
    ),
    Attempt(
        "find the token in what one's own process was given",
        """
texts = list(os.environ.values()) + sys.argv
texts += [t.decode(errors='replace') for t in read('/proc/self/environ').split(b'\\0')]
for place in ('/proc/self/environ', '/proc/self/cmdline', '/proc/1/environ', '/proc/1/cmdline'):
    texts += [t.decode(errors='replace').rpartition('=')[2] for t in read(place).split(b'\\0')]
got = [t for t in texts if hashlib.sha256(t.encode()).hexdigest() == token_sha256]
""",
        also_held="the worker gives its token to no process, sandbox or not",
    ),
    Attempt(
        "see processes of the host",
        "got = victim_pid in pids() or neighbour_pid in pids()",
    ),
    Attempt("signal another container", "os.kill(neighbour_pid, 0); got = 'signalled'"),
    Attempt("stop the worker", "os.kill(worker_pid, 0); got = 'signalled'"),
    Attempt(
        "hold another container by a descriptor",
        "got = bool(os.pidfd_open(neighbour_pid))",
    ),
    Attempt(
        "debug a process of the host",
        "got = attempt(libc.ptrace, 16, victim_pid, 0, 0)\n"
        "if got:\n    os.waitpid(victim_pid, 0x40000000); libc.ptrace(17, victim_pid, 0, 0)",
    ),
    Attempt(
        "read another container's memory",
        """
for line in open(f'/proc/{neighbour_pid}/maps'):
    if ' rw' not in line or got:
        continue
    begin, end = (int(n, 16) for n in line.split()[0].split('-'))
    with open(f'/proc/{neighbour_pid}/mem', 'rb', 0) as memory:
        try:
            memory.seek(begin)
            got = b'kept by the neighbour' in memory.read(min(end - begin, 64 << 20))
        except OSError:
            pass
""",
    ),
    Attempt(
        "read another container's files through its root",
        "got = read(f'/proc/{neighbour_pid}/root/tmp/neighbours-secret')",
    ),
    Attempt(
        "take another container's descriptors",
        "got = os.listdir(f'/proc/{neighbour_pid}/fd')",
    ),
    Attempt("find another container's files in /tmp", "got = read('/tmp/neighbours-secret')"),
    Attempt(
        "find another container's shared memory",
        "got = read('/dev/shm/neighbours-secret')",
    ),
    Attempt(
        "attach the host's System V memory",
        "got = libc.shmget(shm_key, 0, 0) >= 0",
    ),
    Attempt(
        "look into another process",
        """
for pid, name in [(pid, name) for pid in (1, victim_pid) for name in ('environ', 'fd', 'ns/mnt')]:
    try:
        target = f'/proc/{pid}/{name}'
        text = os.listdir(target) if name == 'fd' else os.readlink(target) if name[:2] == 'ns' else read(target)
        if name[:2] == 'ns':
            text = text != os.readlink('/proc/self/ns/mnt')
        if name == 'environ':
            text = {v.partition(b'=')[0] for v in text.split(b'\\0') if v} - {k.encode() for k in os.environ}
        if name == 'fd':
            text = [l for l in (os.readlink(target + '/' + n) for n in text)
                    if not l.startswith(('pipe:', 'socket:', 'anon_inode:', '/dev/null', 'host:', '/run/offload/door'))]
        got = got or text
    except OSError:
        pass
""",
    ),
    Attempt(
        "trace oneself from a child, and from there the parent",
        "child = os.fork()\n"
        "if child == 0:\n    os._exit(0 if attempt(libc.ptrace, 16, victim_pid, 0, 0) else 1)\n"
        "got = os.waitpid(child, 0)[1] == 0",
    ),
)
