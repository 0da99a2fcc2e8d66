"""From an exception in a container to the one the caller sees, with no container."""

import pickle
import traceback

from offload import errors
from offload.sdk import chains
from offload.sdk.failures import to_exception
from offload.sdk.traces import hide_own_frames, remote_traceback
from offload.sdk.values import Failure, TraceLine


class AwkwardError(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


class GoneError(Exception):
    """A type that is there when it is pickled and missing where it is loaded."""

    def __reduce__(self):
        return load_gone, ()


_there: list[type[Exception]] = []


def load_gone():
    if not _there:
        raise ModuleNotFoundError("No module named 'only_there'")
    return _there.pop()()


def raised(make, cause=None):
    try:
        if cause is not None:
            raise make from cause
        raise make
    except Exception as error:  # noqa: BLE001  # what was just raised
        return error


def frames_of(trace):
    found = traceback.extract_tb(trace)
    return tuple((f"/there/{f.name}.py", f.lineno, f.name, f"line of {f.name}") for f in found)


def brought_back(error, frames=()):
    failure = Failure(
        "EXCEPTION",
        "",
        chains.type_name_of(error),
        chains.message_of(error),
        frames,
        chains.dump_exception(error, frames_of),
        0,
        0,
    )
    return to_exception(failure, "input 0")


def test_a_cause_comes_back_with_its_own_frames():
    error = raised(RuntimeError("second"), cause=raised(KeyError("first")))

    back = brought_back(error)

    assert isinstance(back.__cause__, KeyError)
    [frame] = traceback.extract_tb(back.__cause__.__traceback__)
    assert (frame.filename, frame.line) == ("/there/raised.py", "line of raised")


def test_a_context_that_is_not_a_cause_comes_back_too():
    error = raised(RuntimeError("second"))
    error.__context__ = raised(KeyError("first"))

    back = brought_back(error)

    assert back.__cause__ is None
    assert isinstance(back.__context__, KeyError)
    assert back.__context__.__traceback__ is not None


def test_raise_from_none_still_hides_the_context():
    error = raised(RuntimeError("second"))
    error.__context__ = KeyError("first")
    error.__suppress_context__ = True

    assert "KeyError" not in "".join(traceback.format_exception(brought_back(error)))


def test_an_exception_that_does_not_pickle_keeps_its_cause():
    error = raised(AwkwardError(1, 2), cause=raised(KeyError("first")))

    back = brought_back(error, (TraceLine("/there/a.py", 3, "work", "raise it"),))

    assert isinstance(back, errors.RemoteError)
    assert (back.type_name, back.message) == (f"{__name__}.AwkwardError", "1 and 2")
    assert 'File "/there/a.py", line 3, in work' in back.remote_traceback
    assert isinstance(back.__cause__, KeyError)


def test_a_cause_that_does_not_pickle_is_told_by_name():
    error = raised(ValueError("second"), cause=raised(AwkwardError(1, 2)))

    back = brought_back(error)

    assert isinstance(back, ValueError)
    assert str(back.__cause__) == f"{__name__}.AwkwardError: 1 and 2"
    assert "raised.py" in back.__cause__.remote_traceback


def test_a_type_that_the_caller_lacks_leaves_the_others_of_its_chain_whole():
    error = raised(GoneError("gone"), cause=raised(KeyError("first")))
    error.add_note("a note")
    _there.append(GoneError)
    pickled = chains.dump_exception(error, frames_of)

    back = pickle.loads(pickled)  # noqa: S301  # made two lines before

    assert isinstance(back, errors.RemoteError)
    assert back.__notes__ == ["a note"]
    assert isinstance(back.__cause__, KeyError)


def test_exceptions_that_lead_to_each_other_come_back_so():
    first, second = ValueError("first"), ValueError("second")
    first.__context__, second.__context__ = second, first

    back = brought_back(first)

    assert back.__context__.__context__ is back


def test_what_has_no_more_than_its_text_travels_as_text():
    assert chains.dump_exception(AwkwardError(1, 2)) is None


def test_a_remote_traceback_has_no_carets_of_its_own():
    frames = (TraceLine("/there/b.py", 7, "work", "    return compute(x)"),)

    text = "".join(traceback.format_exception(brought_back(ValueError("x"), frames)))

    assert '  File "/there/b.py", line 7, in work\n    return compute(x)\nValueError: x' in text


def test_frames_left_out_are_told_without_a_line():
    frames = (TraceLine("...", 0, "...", "(800 frames left out)"),)

    assert 'File "..."' in "".join(
        traceback.format_exception(brought_back(ValueError("x"), frames))
    )


def test_our_own_faults_keep_their_frames():
    ours = ValueError("a fault of ours")
    lines = (TraceLine(errors.__file__, 1, "a_function_of_ours", ""),)
    ours.__traceback__ = remote_traceback(lines)

    hide_own_frames(ours)

    assert ours.__traceback__ is not None
