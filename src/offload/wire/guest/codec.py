"""The bodies of messages: to bytes and back.

Every entry is one fixed `struct` header with the lengths of what follows it. A reader takes slices without looking at
the end first: a slice cannot read or allocate beyond what was received, the next header of a short body cannot be
unpacked, and the last position must be the body's end. So every malformed body is found, and a good one pays for a
single check.
"""

from __future__ import annotations

import struct

from offload.wire.guest.messages import (
    Begun,
    Body,
    Bulk,
    Cancel,
    Exiting,
    Fault,
    GiveBack,
    GivenBack,
    Hello,
    Item,
    Load,
    Loaded,
    Output,
    Outputs,
    Result,
    Results,
    Run,
    Stop,
    Task,
    TraceLine,
)
from offload.wire.limits import MAX_FRAME_LINES

_LENGTH = struct.Struct("<I")
_BODY = struct.Struct("<BII")  # encoding, inline, bulk number
_TASK = struct.Struct("<HIBII")  # input id, attempt, then a body
_RESULT = struct.Struct("<HIBQdd")  # input id, attempt, flags, items, started at, run seconds
_OUTPUT = struct.Struct("<HBI")  # input id, stream, text
_TRACE = struct.Struct("<IIII")  # file, line number, function, text
_FAULT = struct.Struct("<IIIB")  # type name, message, number of trace lines, has exception
_BEGUN = struct.Struct("<HI")
_ITEM = struct.Struct("<HIQBII")  # input id, attempt, seq, then a body
_HELLO = struct.Struct("<III")
_EXITING = struct.Struct("<q")
_CALLS = struct.Struct("<IId")  # calls at once, size of a batch, how long it is waited for
_BULK = struct.Struct("<IB")
_FLAG = struct.Struct("<B")

_HAS_VALUE, _HAS_FAULT, _INTERRUPTED = 1, 2, 4


class GuestProtocolError(ValueError):
    """The peer sent something that is no frame of this protocol; the conversation is over."""


# --- writing ---


def _write_text(parts: list[bytes], text: str) -> None:
    # Lone surrogates come from undecodable file names and users' strings; they must not stop a report.
    data = text.encode("utf-8", "backslashreplace")
    parts += (_LENGTH.pack(len(data)), data)


def _write_texts(parts: list[bytes], texts: tuple[str, ...]) -> None:
    parts.append(_LENGTH.pack(len(texts)))
    for text in texts:
        _write_text(parts, text)


def _write_body(parts: list[bytes], body: Body) -> None:
    encoding = body.encoding.encode()
    parts += (_BODY.pack(len(encoding), len(body.inline), body.bulk), encoding, body.inline)


def _write_fault(parts: list[bytes], fault: Fault) -> None:
    name = fault.type_name.encode("utf-8", "backslashreplace")
    message = fault.message.encode("utf-8", "backslashreplace")
    has_exception = fault.exception is not None
    parts += (_FAULT.pack(len(name), len(message), len(fault.frames), has_exception), name, message)
    for line in fault.frames:
        texts = [text.encode("utf-8", "backslashreplace") for text in (line[0], line[2], line[3])]
        parts.append(_TRACE.pack(len(texts[0]), line.line, len(texts[1]), len(texts[2])))
        parts += texts
    if fault.exception is not None:
        _write_body(parts, fault.exception)


def _write_load(parts: list[bytes], message: Load) -> None:
    _write_text(parts, message.function_name)
    parts.append(_FLAG.pack(message.is_generator))
    _write_body(parts, message.code)
    _write_texts(parts, message.sys_path)
    _write_texts(parts, tuple(text for pair in message.env for text in pair))
    _write_text(parts, message.working_dir)
    parts.append(_CALLS.pack(message.max_calls, message.batch_size, message.batch_wait_seconds))
    _write_texts(parts, tuple(text for each in message.parameters for text in each))


def _write_run(parts: list[bytes], message: Run) -> None:
    pack = _TASK.pack
    parts.append(_LENGTH.pack(len(message.tasks)))
    for input_id, attempt, (encoding, inline, bulk) in message.tasks:
        name = input_id.encode()
        tag = encoding.encode()
        parts += (pack(len(name), attempt, len(tag), len(inline), bulk), name, tag, inline)


def _write_cancel(parts: list[bytes], message: Cancel) -> None:
    _write_texts(parts, message.input_ids)
    parts.append(_FLAG.pack(message.timed_out))
    _write_text(parts, message.reason)


def _write_nothing(parts: list[bytes], message: object) -> None:
    """Write the empty body of a message without fields."""


def _write_hello(parts: list[bytes], message: Hello) -> None:
    version = message.python_version.encode()
    parts += (_HELLO.pack(message.protocol, message.pid, len(version)), version)


def _write_loaded(parts: list[bytes], message: Loaded) -> None:
    parts.append(_FLAG.pack(message.fault is not None))
    if message.fault is not None:
        _write_fault(parts, message.fault)


def _write_begun(parts: list[bytes], message: Begun) -> None:
    name = message.input_id.encode()
    parts += (_BEGUN.pack(len(name), message.attempt), name)


def _write_item(parts: list[bytes], message: Item) -> None:
    input_id, attempt, seq, (encoding, inline, bulk) = message
    name = input_id.encode()
    tag = encoding.encode()
    header = _ITEM.pack(len(name), attempt, seq, len(tag), len(inline), bulk)
    parts += (header, name, tag, inline)


def _write_results(parts: list[bytes], message: Results) -> None:
    pack = _RESULT.pack
    pack_body = _BODY.pack
    parts.append(_LENGTH.pack(len(message.results)))
    for input_id, attempt, value, fault, interrupted, items, started_at, seconds in message.results:
        name = input_id.encode()
        flags = _INTERRUPTED if interrupted else 0
        if value is not None:
            flags |= _HAS_VALUE
        if fault is not None:
            flags |= _HAS_FAULT
        parts += (pack(len(name), attempt, flags, items, started_at, seconds), name)
        if value is not None:
            encoding, inline, bulk = value
            tag = encoding.encode()
            parts += (pack_body(len(tag), len(inline), bulk), tag, inline)
        if fault is not None:
            _write_fault(parts, fault)


def _write_outputs(parts: list[bytes], message: Outputs) -> None:
    parts.append(_LENGTH.pack(len(message.lines)))
    for input_id, stream, text in message.lines:
        name = input_id.encode()
        tag = stream.encode()
        data = text.encode("utf-8", "backslashreplace")
        parts += (_OUTPUT.pack(len(name), len(tag), len(data)), name, tag, data)


def _write_given_back(parts: list[bytes], message: GivenBack) -> None:
    _write_texts(parts, message.input_ids)


def _write_exiting(parts: list[bytes], message: Exiting) -> None:
    parts.append(_EXITING.pack(message.code))
    _write_text(parts, message.input_id)


def _write_bulk(parts: list[bytes], message: Bulk) -> None:
    parts += (_BULK.pack(message.number, message.last), message.data)


# --- reading: each takes the body and a position and returns the value and the position after it ---


def _read_flag(data: bytes, at: int) -> tuple[bool, int]:
    (flag,) = _FLAG.unpack_from(data, at)
    if flag > 1:
        raise GuestProtocolError(f"a flag is 0 or 1, not {flag}")
    return flag == 1, at + 1


def _read_text(data: bytes, at: int) -> tuple[str, int]:
    (size,) = _LENGTH.unpack_from(data, at)
    at += 4
    return data[at : at + size].decode(), at + size


def _read_texts(data: bytes, at: int) -> tuple[tuple[str, ...], int]:
    (count,) = _LENGTH.unpack_from(data, at)
    at += 4
    texts = []
    for _ in range(count):
        text, at = _read_text(data, at)
        texts.append(text)
    return tuple(texts), at


def _read_body(data: bytes, at: int) -> tuple[Body, int]:
    tag, inline, bulk = _BODY.unpack_from(data, at)
    at += _BODY.size
    end = at + tag + inline
    return Body(data[at : at + tag].decode(), data[at + tag : end], bulk), end


def _read_fault(data: bytes, at: int) -> tuple[Fault, int]:
    name_size, message_size, count, has_exception = _FAULT.unpack_from(data, at)
    if has_exception > 1:
        raise GuestProtocolError(f"a flag is 0 or 1, not {has_exception}")
    at += _FAULT.size
    name = data[at : at + name_size].decode()
    at += name_size
    message = data[at : at + message_size].decode()
    at += message_size
    lines = []
    for _ in range(count):
        file, number, function, text = _TRACE.unpack_from(data, at)
        at += _TRACE.size
        ends = (at + file, at + file + function, at + file + function + text)
        texts = (data[at : ends[0]], data[ends[0] : ends[1]], data[ends[1] : ends[2]])
        lines.append(TraceLine(texts[0].decode(), number, texts[1].decode(), texts[2].decode()))
        at = ends[2]
    exception = None
    if has_exception:
        exception, at = _read_body(data, at)
    return Fault(name, message, tuple(lines), exception), at


def _read_load(data: bytes, at: int) -> tuple[Load, int]:
    name, at = _read_text(data, at)
    is_generator, at = _read_flag(data, at)
    code, at = _read_body(data, at)
    sys_path, at = _read_texts(data, at)
    env, at = _read_texts(data, at)
    working_dir, at = _read_text(data, at)
    max_calls, batch_size, batch_wait_seconds = _CALLS.unpack_from(data, at)
    at += _CALLS.size
    given, at = _read_texts(data, at)
    if len(env) % 2 or len(given) % 3:
        raise GuestProtocolError("the environment or a parameter has a name without a value")
    pairs = tuple(zip(env[::2], env[1::2]))
    parameters = tuple(zip(given[::3], given[1::3], given[2::3]))
    calls = (max_calls, batch_size, batch_wait_seconds, parameters)
    return Load(name, is_generator, code, sys_path, pairs, working_dir, *calls), at


def _read_run(data: bytes, at: int) -> tuple[Run, int]:
    unpack, header = _TASK.unpack_from, _TASK.size
    (count,) = _LENGTH.unpack_from(data, at)
    at += 4
    tasks = []
    for _ in range(count):
        name, attempt, tag, inline, bulk = unpack(data, at)
        name_end = at + header + name
        tag_end = name_end + tag
        end = tag_end + inline
        body = Body(data[name_end:tag_end].decode(), data[tag_end:end], bulk)
        tasks.append(Task(data[at + header : name_end].decode(), attempt, body))
        at = end
    return Run(tuple(tasks)), at


def _read_cancel(data: bytes, at: int) -> tuple[Cancel, int]:
    input_ids, at = _read_texts(data, at)
    timed_out, at = _read_flag(data, at)
    reason, at = _read_text(data, at)
    return Cancel(input_ids, timed_out, reason), at


def _read_give_back(_: bytes, at: int) -> tuple[GiveBack, int]:
    return GiveBack(), at


def _read_stop(_: bytes, at: int) -> tuple[Stop, int]:
    return Stop(), at


def _read_hello(data: bytes, at: int) -> tuple[Hello, int]:
    protocol, pid, size = _HELLO.unpack_from(data, at)
    at += _HELLO.size
    return Hello(protocol, pid, data[at : at + size].decode()), at + size


def _read_loaded(data: bytes, at: int) -> tuple[Loaded, int]:
    has_fault, at = _read_flag(data, at)
    if not has_fault:
        return Loaded(None), at
    fault, at = _read_fault(data, at)
    return Loaded(fault), at


def _read_begun(data: bytes, at: int) -> tuple[Begun, int]:
    size, attempt = _BEGUN.unpack_from(data, at)
    at += _BEGUN.size
    return Begun(data[at : at + size].decode(), attempt), at + size


def _read_item(data: bytes, at: int) -> tuple[Item, int]:
    name, attempt, seq, tag, inline, bulk = _ITEM.unpack_from(data, at)
    at += _ITEM.size
    tag_end = at + name + tag
    body = Body(data[at + name : tag_end].decode(), data[tag_end : tag_end + inline], bulk)
    return Item(data[at : at + name].decode(), attempt, seq, body), tag_end + inline


def _read_results(data: bytes, at: int) -> tuple[Results, int]:
    unpack, header = _RESULT.unpack_from, _RESULT.size
    (count,) = _LENGTH.unpack_from(data, at)
    at += 4
    results = []
    for _ in range(count):
        name, attempt, flags, items, started_at, seconds = unpack(data, at)
        if flags > (_HAS_VALUE | _HAS_FAULT | _INTERRUPTED):
            raise GuestProtocolError(f"unknown flags {flags:#x} of a result")
        at += header
        input_id = data[at : at + name].decode()
        at += name
        value = fault = None
        if flags & _HAS_VALUE:
            value, at = _read_body(data, at)
        if flags & _HAS_FAULT:
            fault, at = _read_fault(data, at)
        interrupted = flags & _INTERRUPTED != 0
        results.append(
            Result(input_id, attempt, value, fault, interrupted, items, started_at, seconds)
        )
    return Results(tuple(results)), at


def _read_outputs(data: bytes, at: int) -> tuple[Outputs, int]:
    (count,) = _LENGTH.unpack_from(data, at)
    if count > MAX_FRAME_LINES:
        raise GuestProtocolError(f"a frame has {count} lines, more than {MAX_FRAME_LINES}")
    at += 4
    lines = []
    for _ in range(count):
        name, tag, size = _OUTPUT.unpack_from(data, at)
        at += _OUTPUT.size
        tag_end = at + name + tag
        input_id, stream = data[at : at + name].decode(), data[at + name : tag_end].decode()
        lines.append(Output(input_id, stream, data[tag_end : tag_end + size].decode()))
        at = tag_end + size
    return Outputs(tuple(lines)), at


def _read_given_back(data: bytes, at: int) -> tuple[GivenBack, int]:
    input_ids, at = _read_texts(data, at)
    return GivenBack(input_ids), at


def _read_exiting(data: bytes, at: int) -> tuple[Exiting, int]:
    (code,) = _EXITING.unpack_from(data, at)
    input_id, at = _read_text(data, at + _EXITING.size)
    return Exiting(code, input_id), at


def _read_bulk(data: bytes, at: int) -> tuple[Bulk, int]:
    number, last = _BULK.unpack_from(data, at)
    if last > 1:
        raise GuestProtocolError(f"a flag is 0 or 1, not {last}")
    return Bulk(number, data[at + _BULK.size :], last == 1), len(data)


# A message's number is its place here; places are never reused, so an old peer is found by its unknown kind.
BODIES = (
    (Load, _write_load, _read_load),
    (Run, _write_run, _read_run),
    (Cancel, _write_cancel, _read_cancel),
    (GiveBack, _write_nothing, _read_give_back),
    (Stop, _write_nothing, _read_stop),
    (Hello, _write_hello, _read_hello),
    (Loaded, _write_loaded, _read_loaded),
    (Begun, _write_begun, _read_begun),
    (Item, _write_item, _read_item),
    (Results, _write_results, _read_results),
    (Outputs, _write_outputs, _read_outputs),
    (GivenBack, _write_given_back, _read_given_back),
    (Exiting, _write_exiting, _read_exiting),
    (Bulk, _write_bulk, _read_bulk),
)
