"""The bodies of what user code asks: to bytes and back, as `codec` does it."""

from __future__ import annotations

import struct

from offload.wire.guest.asks import Answer, Ask, AskMore, Credit, GiveUp
from offload.wire.guest.codec import GuestProtocolError

_ASK = struct.Struct("<IHB")  # number, method, is open
_MORE = struct.Struct("<IB")  # number, last
_NUMBER = struct.Struct("<I")
_ANSWER = struct.Struct("<IBB")  # number, status, last
_CREDIT = struct.Struct("<II")  # number, messages


def _write_ask(parts: list[bytes], message: Ask) -> None:
    method = message.method.encode()
    parts += (_ASK.pack(message.number, len(method), message.is_open), method, message.data)


def _read_ask(data: bytes, at: int) -> tuple[Ask, int]:
    number, size, is_open = _ASK.unpack_from(data, at)
    at += _ASK.size
    if len(data) < at + size:
        raise GuestProtocolError("an Ask ends within the name of its method")
    method = data[at : at + size].decode()
    return Ask(number, method, data[at + size :], _flag(is_open)), len(data)


def _write_more(parts: list[bytes], message: AskMore) -> None:
    parts += (_MORE.pack(message.number, message.last), message.data)


def _read_more(data: bytes, at: int) -> tuple[AskMore, int]:
    number, last = _MORE.unpack_from(data, at)
    return AskMore(number, data[at + _MORE.size :], _flag(last)), len(data)


def _write_give_up(parts: list[bytes], message: GiveUp) -> None:
    parts.append(_NUMBER.pack(message.number))


def _read_give_up(data: bytes, at: int) -> tuple[GiveUp, int]:
    (number,) = _NUMBER.unpack_from(data, at)
    return GiveUp(number), at + _NUMBER.size


def _write_answer(parts: list[bytes], message: Answer) -> None:
    parts += (_ANSWER.pack(message.number, message.status, message.last), message.data)


def _read_answer(data: bytes, at: int) -> tuple[Answer, int]:
    number, status, last = _ANSWER.unpack_from(data, at)
    return Answer(number, status, _flag(last), data[at + _ANSWER.size :]), len(data)


def _write_credit(parts: list[bytes], message: Credit) -> None:
    parts.append(_CREDIT.pack(message.number, message.messages))


def _read_credit(data: bytes, at: int) -> tuple[Credit, int]:
    number, messages = _CREDIT.unpack_from(data, at)
    return Credit(number, messages), at + _CREDIT.size


def _flag(value: int) -> bool:
    if value > 1:
        raise GuestProtocolError(f"a flag is 0 or 1, not {value}")
    return value == 1


# As in `codec.BODIES`, but from a number on that `frames` knows.
BODIES = (
    (Ask, _write_ask, _read_ask),
    (AskMore, _write_more, _read_more),
    (GiveUp, _write_give_up, _read_give_up),
    (Answer, _write_answer, _read_answer),
    (Credit, _write_credit, _read_credit),
)
