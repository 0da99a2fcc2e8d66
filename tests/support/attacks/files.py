"""Attempts at files of the host, of the platform and of other containers."""

from __future__ import annotations

from tests.support.attacks.attempt import Attempt

ATTEMPTS = (
    Attempt("read a file in the caller's folder", "got = read(secret_file)"),
    Attempt("read what everybody may read in the host's /tmp", "got = read(open_file)"),
    Attempt("read the platform's token", "got = read(data_dir + '/token')"),
    Attempt(
        "read the platform's database",
        "got = len([path for path in glob.glob(data_dir + '/**', recursive=True) if opens(path)])",
    ),
    Attempt("read the password file", "got = read('/etc/shadow')"),
    Attempt("list the home of root", "got = len(set(os.listdir('/root')) - set(shown_of_root))"),
    Attempt("read the host's shared memory", "got = read(shared_file)"),
    Attempt(
        "write a program that everybody runs",
        "path = '/usr/bin/offload-attack'; open(path, 'x').close(); os.remove(path); got = path",
    ),
    Attempt(
        "write into /etc",
        "path = '/etc/offload-attack'; open(path, 'x').close(); os.remove(path); got = path",
    ),
    Attempt(
        "write into the environment that all containers import from",
        "path = sys.prefix + '/offload-attack.pth'; open(path, 'x').close(); os.remove(path); got = path",
    ),
    Attempt(
        "change the runner of containers to come",
        "import offload.runner as runner; got = opens(runner.__file__, os.O_RDWR)",
    ),
    Attempt(
        "reach a file through a link in /tmp",
        "os.symlink(secret_file, '/tmp/offload-attack-link')\n"
        "got = read('/tmp/offload-attack-link'); os.remove('/tmp/offload-attack-link')",
    ),
    Attempt(
        "name a file of the host's a second time by a hard link",
        "os.link(secret_file, secret_file + '-2'); os.remove(secret_file + '-2'); got = 'linked'",
    ),
    Attempt(
        "climb above the root",
        "got = read('/proc/self/cwd/' + '../' * 40 + secret_file) or read('../' * 40 + secret_file)",
    ),
    Attempt(
        "look through another process's root",
        "got = [pid for pid in (1, victim_pid) if read(f'/proc/{pid}/root' + secret_file)]",
    ),
    Attempt(
        "find a folder of the host's among the descriptors",
        """
os.chdir('/')
held = [os.open('/', os.O_PATH)] if without_walls else []
for name in os.listdir('/proc/self/fd'):
    try:
        if stat.S_ISDIR(os.stat('/proc/self/fd/' + name).st_mode):
            got = got or read('/proc/self/fd/' + name + secret_file)
    except OSError:
        pass
""",
    ),
    Attempt(
        "open a file by its handle",
        """
class Handle(ctypes.Structure):
    _fields_ = [('size', ctypes.c_uint), ('kind', ctypes.c_int), ('bytes', ctypes.c_char * 128)]
handle = Handle(8, 1, struct.pack('<II', 2, 0))
root = os.open('/', os.O_RDONLY)
got = call({'x86_64': 304, 'aarch64': 265}[os.uname().machine], root, ctypes.byref(handle), 0)
""",
        is_kernels=True,
    ),
    Attempt(
        "write to a file that is shown read-only by mapping it",
        """
import mmap
file = os.open(sys.executable, os.O_RDONLY)
try:
    mmap.mmap(file, 4096, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)[0:1] = b'x'
    got = 'written'
except (OSError, TypeError, ValueError):
    got = opens(sys.executable, os.O_WRONLY | os.O_APPEND) or opens('/usr/bin/env', os.O_WRONLY)
""",
    ),
    Attempt(
        "make shown files writable again",
        "got = [l for l in open('/proc/self/mountinfo') if attempt(libc.mount, None, l.split()[4].encode(), None, 32 | 4096, None)]",
        is_kernels=True,
    ),
    Attempt(
        "give a shown file to somebody else",
        "status = os.stat('/usr/bin/env'); os.chown('/usr/bin/env', status.st_uid, status.st_gid); got = 'given'",
    ),
    Attempt(
        "make a device of the host's memory",
        "os.mknod('/tmp/offload-attack-node', 0o600 | stat.S_IFCHR, os.makedev(1, 3)); "
        "got = opens('/tmp/offload-attack-node'); os.remove('/tmp/offload-attack-node')",
        is_kernels=True,
    ),
    Attempt(
        "open a device of the host's",
        "usual = {'stdin', 'stdout', 'stderr', 'null', 'zero', 'full', 'random', 'urandom', 'tty', 'ptmx'}\n"
        "got = [p for p in glob.glob('/dev/*') if p[5:] not in usual and not os.path.isdir(p)\n"
        "       and stat.S_IFMT(os.stat(p).st_mode) in (stat.S_IFCHR, stat.S_IFBLK)]\n"
        "got = [p for p in got if opens(p, os.O_RDONLY | os.O_NONBLOCK)]",
        is_kernels=True,
    ),
    Attempt(
        "connect to a service's socket in /run",
        "got = hear(run_socket, family=socket.AF_UNIX)",
    ),
    Attempt(
        "connect to a container engine",
        "got = [path for path in engine_sockets if hear(path, b'GET /version HTTP/1.0\\r\\n\\r\\n', socket.AF_UNIX)]",
    ),
)
