"""The little of DNS that a forwarder must understand (RFC 1035): whose name is asked for, and which addresses an answer gives."""

from __future__ import annotations

from typing import NamedTuple

_HEADER_BYTES = 12
_ADDRESS, _INTERNET = 1, 1  # type A, class IN
_POINTER = 0xC0
_MOST_POINTERS = 64
_MOST_NAME_BYTES = 255
_IS_ANSWER, _KEEPS_OF_QUERY = 0x80, 0x79  # opcode and "recursion desired"
_CAN_RECURSE = 0x80

SERVER_FAILURE, REFUSED = 2, 5


class Question(NamedTuple):
    """The only question of a query."""

    name: str
    end: int  # where in the message it ends


class Answer(NamedTuple):
    """An address that a name has."""

    address: str
    ttl_seconds: int


def read_question(message: bytes) -> Question:
    """Return what a query or an answer is about. Raises ValueError for anything but one question."""
    if len(message) < _HEADER_BYTES or int.from_bytes(message[4:6], "big") != 1:
        raise ValueError("not one question")
    name, at = _read_name(message, _HEADER_BYTES)
    if at + 4 > len(message):
        raise ValueError("the question is cut off")
    return Question(name, at + 4)


def answers_to(query: bytes, message: bytes) -> bool:
    """Tell whether a message is the answer to a query, and not somebody's guess."""
    end = read_question(query).end
    is_same = (
        message[:2] == query[:2]
        and message[_HEADER_BYTES:end].lower() == query[_HEADER_BYTES:end].lower()
    )
    return is_same and len(message) >= end and bool(message[2] & _IS_ANSWER)


def refuse(query: bytes, code: int) -> bytes:
    """Return the answer that says no more than `code`."""
    end = read_question(query).end
    flags = bytes([_IS_ANSWER | query[2] & _KEEPS_OF_QUERY, _CAN_RECURSE | code])
    return query[:2] + flags + b"\0\1" + bytes(6) + query[_HEADER_BYTES:end]


def read_addresses(message: bytes) -> list[Answer]:
    """Return the IPv4 addresses of an answer. Raises ValueError for a message that is cut off or in circles."""
    at = read_question(message).end
    found = []
    for _ in range(int.from_bytes(message[6:8], "big")):
        _, at = _read_name(message, at)
        head = message[at : at + 10]
        if len(head) < 10:
            raise ValueError("a record is cut off")
        kind, of_class = int.from_bytes(head[:2], "big"), int.from_bytes(head[2:4], "big")
        ttl, length = int.from_bytes(head[4:8], "big"), int.from_bytes(head[8:10], "big")
        data = message[at + 10 : at + 10 + length]
        if (kind, of_class, len(data)) == (_ADDRESS, _INTERNET, 4):
            found.append(Answer(".".join(map(str, data)), ttl))
        at += 10 + length
    return found


def _read_name(message: bytes, at: int) -> tuple[str, int]:
    """Return a name, and where what follows it begins."""
    labels: list[str] = []
    end = None
    for _ in range(_MOST_POINTERS + _MOST_NAME_BYTES):
        if at >= len(message):
            break
        length = message[at]
        if length & _POINTER == _POINTER and at + 1 < len(message):
            end = at + 2 if end is None else end
            at = (length & ~_POINTER) << 8 | message[at + 1]
        elif length == 0:
            return ".".join(labels), at + 1 if end is None else end
        else:
            label = message[at + 1 : at + 1 + length]
            # A dot or a byte beyond ASCII inside a label would be another name to whoever compares texts.
            if length & _POINTER or b"." in label or not label.isascii():
                break
            labels.append(label.decode())
            at += 1 + length
    raise ValueError("a name is cut off, in circles, or not of letters")
