"""Attempts at the kernel: its settings, namespaces, privileges, and the calls that exploits begin with."""

from __future__ import annotations

from tests.support.attacks.attempt import Attempt

# Root of a machine that is itself a container lacks the same.
_MACHINE = "root itself may not on machines that are containers, as those of most tests are"
_X86 = "os.uname().machine == 'x86_64'"


def _let_through(name: str, x86: int, other: int, arguments: str, also_held: str = "") -> Attempt:
    number = f"{x86} if {_X86} else {other}"
    program = f"got = call({number}, {arguments})"
    return Attempt(name, program, is_kernels=True, also_held=also_held)


ATTEMPTS = (
    Attempt(
        "have the kernel run a program at the next crash",
        "got = opens('/proc/sys/kernel/core_pattern', os.O_WRONLY)",
    ),
    Attempt(
        "set what the whole machine goes by",
        "own = ('msg', 'sem', 'shm', 'auto_msg', 'ns_last', 'pid_max')\n"
        "got = [p for p in glob.glob('/proc/sys/[kv]*/*') if not p[17:].startswith(own) and opens(p, os.O_WRONLY)]",
        is_kernels=True,
    ),
    Attempt(
        "press the magic key", "got = opens('/proc/sysrq-trigger', os.O_WRONLY)", also_held=_MACHINE
    ),
    Attempt(
        "read the kernel's memory",
        "got = len(os.pread(os.open('/proc/kcore', os.O_RDONLY), 1, 0))",
        also_held=_MACHINE,
    ),
    Attempt(
        "find where the kernel's code is",
        "got = [l for l in open('/proc/kallsyms') if int(l.split()[0], 16)][:1]",
    ),
    Attempt(
        "leave the control group",
        "got = [p for p in glob.glob('/sys/fs/cgroup/**/cgroup.procs', recursive=True) if opens(p, os.O_WRONLY)]",
    ),
    Attempt(
        "raise the limit of one's own control group",
        "got = [p for n in ('memory.limit_in_bytes', 'memory.max', 'pids.max', 'cpu.max', 'cpu.cfs_quota_us')\n"
        "       for p in glob.glob('/sys/fs/cgroup/**/' + n, recursive=True) if opens(p, os.O_WRONLY)]",
    ),
    Attempt(
        "mount control groups, whose release agent the host runs",
        "os.mkdir('/tmp/offload-attack-groups')\n"
        "got = attempt(libc.mount, b'x', b'/tmp/offload-attack-groups', b'cgroup', 0, b'pids')\n"
        "libc.umount(b'/tmp/offload-attack-groups'); os.rmdir('/tmp/offload-attack-groups')",
    ),
    Attempt(
        "write to the firmware's and the drivers' files",
        "got = [p for d in ('/sys/firmware', '/sys/kernel', '/sys/class', '/sys/module')\n"
        "       for p, _, names in os.walk(d) for n in names if opens(p + '/' + n, os.O_WRONLY)][:1]",
    ),
    Attempt(
        "mount a file system of one's own",
        "os.mkdir('/tmp/offload-attack-mount')\n"
        "got = attempt(libc.mount, b'x', b'/tmp/offload-attack-mount', b'tmpfs', 0, None)\n"
        "libc.umount(b'/tmp/offload-attack-mount'); os.rmdir('/tmp/offload-attack-mount')",
        is_kernels=True,
    ),
    Attempt(
        "become root of a new user namespace",
        "child = os.fork()\n"
        "if child == 0:\n    os._exit(0 if attempt(libc.unshare, 0x10000000) else 1)\n"
        "got = os.waitpid(child, 0)[1] == 0",
        is_kernels=True,
    ),
    Attempt(
        "make namespaces to break out of",
        "got = attempt(libc.unshare, 0x00020000)",
        is_kernels=True,
    ),
    Attempt(
        "enter the namespaces of another process",
        """
for pid in (1, victim_pid):
    for kind in ('uts', 'net', 'ipc', 'mnt'):
        try:
            got = got or attempt(libc.setns, os.open(f'/proc/{pid}/ns/{kind}', os.O_RDONLY), 0)
        except OSError:
            pass
""",
        is_kernels=True,
    ),
    Attempt("take another root", "os.chroot('/'); got = 'taken'", is_kernels=True),
    Attempt("become root", "os.setuid(0); got = read('/etc/shadow') and 'root'"),
    Attempt(
        "become root by a program that is root's",
        "done = subprocess.run(['su', '-c', 'id -u', 'root'], stdin=subprocess.DEVNULL, capture_output=True)\n"
        "got = done.stdout.strip() == b'0'",
    ),
    Attempt(
        "have capabilities, or a way to them",
        "got = [l for l in open('/proc/self/status') if l[:6] in ('CapEff', 'CapPrm', 'CapBnd', 'CapAmb') and int(l.split()[1], 16)]",
    ),
    Attempt(
        "name the machine anew",
        "name = os.uname().nodename.encode(); got = attempt(libc.sethostname, name, len(name))",
        is_kernels=True,
    ),
    Attempt(
        "go before everybody else",
        "os.setpriority(os.PRIO_PROCESS, 0, -10); got = 'first'",
        is_kernels=True,
    ),
    Attempt(
        "run in real time",
        "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)); got = 'real time'",
        is_kernels=True,
    ),
    Attempt(
        "raise one's own hard limits",
        "soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard + 1)); got = 'raised'",
        is_kernels=True,
        also_held=_MACHINE,
    ),
    _let_through("load a module", 313, 273, "-1, b'', 0", _MACHINE),
    _let_through("start another kernel", 246, 104, "0, 0, 0, 0xFFFF", _MACHINE),
    _let_through("load a program into the kernel", 321, 280, "0, bytes(128), 8"),
    _let_through("count the machine's events", 298, 241, "bytes(8) + bytes(120), -1, 0, -1, 0"),
    _let_through("handle page faults for the kernel", 323, 282, "1"),
    _let_through("queue calls past the filter", 425, 425, "1, ctypes.create_string_buffer(120)"),
    _let_through(
        "keep a key where another container finds it",
        248,
        217,
        "b'user', b'offload-attack', b'x', 1, -4",
    ),
    _let_through("compare another's memory", 312, 272, "os.getpid(), os.getpid(), 0, 0, 0"),
    _let_through("move a mount by its descriptor", 428, 428, "-100, b'/', 1"),
    _let_through("restart the machine", 169, 142, "0, 0, 0, 0"),
    _let_through("swap to a file", 167, 224, "b'/nowhere', 0"),
    _let_through("read the kernel's log", 103, 116, "3, ctypes.create_string_buffer(100), 100"),
    Attempt(
        "reach the ports of devices",
        f"got = {_X86} and call(172, 3)",
        is_kernels=True,
        also_held=_MACHINE,
    ),
)
