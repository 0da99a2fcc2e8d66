"""What one attempt is."""

from __future__ import annotations

from typing import NamedTuple


class Attempt(NamedTuple):
    """A program that leaves something in `got` where it succeeds. It runs as user code, after `PRELUDE`."""

    name: str
    program: str
    is_blocked: bool = False  # it runs with block_network=True
    is_small: bool = False  # it runs with little memory, to be flooded
    may_end: bool = False  # the end of its own container is a refusal, too
    # It takes what others want, too, or tries what comes after its container: it has that, and its neighbour's time, to itself.
    is_alone: bool = False
    # What it calls is the kernel: one that is the container's own gives away nothing of the machine's.
    is_kernels: bool = False
    # Where it is refused without any sandbox as well, and why it is made all the same.
    also_held: str = ""


# What attackers would write: plain paths, no care.
PRELUDE = '''
import array, ctypes, errno, fcntl, glob, hashlib, json, os, pathlib, resource, signal, socket, stat, struct
import subprocess, sys, threading, time
got = None
libc = ctypes.CDLL(None, use_errno=True)
REFUSED = (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EAFNOSUPPORT, errno.EOPNOTSUPP)

def call(number, *arguments):
    """Return whether the kernel let it through: any answer but a refusal."""
    ctypes.set_errno(0)
    return libc.syscall(number, *arguments) >= 0 or ctypes.get_errno() not in REFUSED

def attempt(function, *arguments):
    ctypes.set_errno(0)
    return function(*arguments) >= 0

def read(path):
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20)
    except OSError:
        return b""

def opens(path, flags=os.O_RDONLY):
    try:
        os.close(os.open(path, flags))
    except OSError:
        return False
    return True

def hear(address, said=b"", family=socket.AF_INET, seconds=1.0):
    """Return what somebody says who listens there."""
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(seconds)
        try:
            sock.connect(address)
        except OSError:
            return b""
        try:
            if said:
                sock.sendall(said)
        except OSError:
            pass  # it has spoken, and gone
        try:
            return sock.recv(100)
        except OSError:
            return b""

def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]

def question(name):
    labels = b"".join(bytes([len(part)]) + part for part in name.encode().split(b"."))
    return b"\\x12\\x34\\1\\0\\0\\1" + bytes(6) + labels + b"\\0\\0\\1\\0\\1"

def servers():
    lines = read("/etc/resolv.conf").decode().splitlines()
    return [line.split()[1] for line in lines if line.startswith("nameserver")]

def gateway():
    for line in open("/proc/net/route").read().splitlines()[1:]:
        words = line.split()
        if words[1] == "00000000":
            return socket.inet_ntoa(bytes.fromhex(words[2])[::-1])
    return None
'''
