"""Attempts over the network: at the host, the platform, other containers, what clouds tell, and past a blocked network."""

from __future__ import annotations

from tests.support.attacks.attempt import Attempt

_ASK_NAMES = """
def ask(server, name, source=None):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.5)
        if source:
            sock.setsockopt(socket.SOL_IP, 15, 1)
            sock.bind((source, 0))
        try:
            sock.sendto(question(name), (server, 53))
            return sock.recv(1000)
        except OSError:
            return b''
"""

ATTEMPTS = (
    Attempt("reach a service on the host's loopback", "got = hear(('127.0.0.1', service_port))"),
    Attempt("reach a service at the host's address", "got = hear((machine_address, service_port))"),
    Attempt(
        "reach a service of the host through the gateway",
        "got = hear((gateway() or '127.0.0.1', service_port))",
    ),
    Attempt(
        "reach the platform's own port",
        "got = [a for a in ('127.0.0.1', machine_address, gateway()) if a and hear((a, platform_port), b'GET / HTTP/1.0\\r\\n\\r\\n')]",
    ),
    Attempt(
        "reach what the cloud tells machines",
        "got = hear(('169.254.169.254', 80))",
    ),
    Attempt(
        "reach it by a name that somebody else answers for",
        """
for name in ('rebind.example', 'loop.example', 'machine.example'):
    try:
        address = socket.gethostbyname(name)
    except OSError:
        continue
    got = got or hear((address, 80)) or hear((address, service_port))
""",
    ),
    Attempt(
        "reach it by other spellings of its address",
        "got = [a for a in ('0.0.0.0', '2852039166', '0xa9fea9fe', '127.1', '0') if hear((a, 80)) or hear((a, service_port))]",
    ),
    Attempt(
        "reach the host over IPv6",
        "got = [a for a in ('::1', machine_address6, '::ffff:127.0.0.1', '::ffff:169.254.169.254')\n"
        "       if hear((a, service_port), family=socket.AF_INET6) or hear((a, 80), family=socket.AF_INET6)]",
    ),
    Attempt(
        "find the host's abstract sockets",
        "got = hear('\\0' + abstract_name, family=socket.AF_UNIX) or abstract_name in read('/proc/net/unix').decode(errors='replace')",
    ),
    Attempt(
        "reach another container at its address",
        "got = hear((neighbour_address, neighbour_port))",
    ),
    Attempt(
        "see the connections of the machine",
        "got = f':{service_port:04X} ' in open('/proc/net/tcp').read() + open('/proc/net/tcp6').read()",
    ),
    Attempt(
        "listen where programs of the host call",
        "sock = socket.socket(); sock.bind((machine_address, 0)); got = 'bound'",
    ),
    Attempt(
        "send from the address of another",
        _ASK_NAMES
        + """
for source in {neighbour_address, machine_address, '127.0.0.2'}:
    try:
        got = got or [s for s in servers() if ask(s, 'loop.example', source)]
    except OSError:
        pass
""",
    ),
    Attempt(
        "send packets that are made by hand",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP); got = 'raw'",
        is_kernels=True,
    ),
    Attempt(
        "answer for another's hardware address",
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)); got = 'ARP'",
        is_kernels=True,
    ),
    Attempt(
        "speak to the hypervisor or to parts of the kernel by a socket",
        """
for family in (38, 40, 30, 31, 16):  # ALG, VSOCK, TIPC, Bluetooth; NETLINK for the audit
    try:
        sock = socket.socket(family, socket.SOCK_RAW if family == 16 else 5 if family == 38 else socket.SOCK_STREAM, 9 if family == 16 else 0)
        if family != 16:
            got = family
        else:
            sock.send(struct.pack('<IHHII', 16, 1000, 5, 1, 0)); sock.settimeout(0.3)
            kind, flags, seq, pid, code = struct.unpack('<HHIIi', sock.recv(100)[4:20])
            got = code == 0 and 'audit'
        if got:
            break
    except OSError:
        pass
""",
        is_kernels=True,
    ),
    Attempt(
        "change the addresses of the interface",
        """
sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
index = min(number for number, name in socket.if_nameindex())
body = struct.pack('BBBBi', 2, 32, 0, 0, index) + struct.pack('HH4s', 8, 2, bytes([198, 18, 99, 99]))
sock.send(struct.pack('IHHII', 16 + len(body), 20, 0x605, 1, 0) + body)
sock.settimeout(1.0)
got = struct.unpack('i', sock.recv(4096)[16:20])[0] == 0
""",
        is_kernels=True,
    ),
    Attempt(
        "change the rules for packets",
        """
sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
def message(kind, flags, body): return struct.pack('IHHII', 16 + len(body), kind, flags, 1, 0) + body
name = b'offload-attack\\0\\0'
table = struct.pack('BBH', 2, 0, 0) + struct.pack('HH', 4 + 15, 1) + name
ends = struct.pack('BBH', 0, 0, 0x0A00)
sock.send(message(16, 1, ends) + message(0x0A00, 0x405, table) + message(17, 1, ends))
sock.settimeout(1.0)
got = struct.unpack('i', sock.recv(4096)[16:20])[0] == 0
""",
        is_kernels=True,
    ),
    Attempt(
        "resolve names though the network is blocked",
        _ASK_NAMES
        + "got = [s for s in {*servers(), '198.18.0.1', '127.0.0.1', machine_address} if ask(s, 'loop.example')]",
        is_blocked=True,
    ),
    Attempt(
        "find a way out of a blocked network",
        "got = [a for a in ('127.0.0.1', machine_address, '169.254.169.254', neighbour_address)\n"
        "       if hear((a, service_port)) or hear((a, 80)) or hear((a, neighbour_port))]",
        is_blocked=True,
    ),
    Attempt(
        "find an interface where the network is blocked",
        "got = [name for number, name in socket.if_nameindex() if name not in ('lo', 'eth0')]\n"
        "got = got or [l for l in open('/proc/net/route').read().splitlines()[1:]] or without_walls",
        is_blocked=True,
    ),
    Attempt(
        "tie up the names of everybody with connections",
        """
held = []
for server in servers():
    for _ in range(1500):
        sock = socket.socket(); sock.settimeout(0.05); held.append(sock)
        try:
            sock.connect((server, 53)); sock.send(b'\\0')
        except OSError:
            break
time.sleep(0.3)
alive = 0
for sock in held:
    sock.setblocking(False)
    try:
        alive += sock.recv(1) == b'never'
    except BlockingIOError:
        alive += 1
    except OSError:
        pass
got = alive > 512 and alive
""",
        is_alone=True,
    ),
    Attempt(
        "tie up the names of everybody with questions",
        """
socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(8)]
until, asked = time.monotonic() + 1.5, 0
heard = 0
for sock in socks:
    sock.setblocking(False)
while time.monotonic() < until:
    for sock in socks:
        try:
            for server in servers():
                sock.sendto(question(f'n{asked}.slow.example'), (server, 53)); asked += 1
            heard += bool(sock.recv(1000))
        except OSError:
            pass
""",
        also_held="without a sandbox it asks the machine's own name server: what counts is the neighbour",
        is_alone=True,
    ),
    Attempt(
        "fill the machine's table of connections",
        """
def fill(number):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    until, port = time.monotonic() + 6, 1024
    while port < 65535 and time.monotonic() < until:
        try:
            sock.sendto(b'x', (f'10.98.{number}.1', port)); sock.sendto(b'x', (f'10.98.1{number}.1', port))
        except OSError:
            pass
        port += 1
children = []
for number in range(5):
    child = os.fork()
    if child == 0:
        fill(number); os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
""",
        also_held="a process may open what connections it likes: what counts is the neighbour",
        is_alone=True,
    ),
)
