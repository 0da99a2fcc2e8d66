"""Keys of dicts as bytes: two keys are equal where these are."""

from __future__ import annotations

import io
import pickle

from offload.errors import InvalidError
from offload.sdk import serialize

_PROTOCOL = 5  # for good: another one would make other keys


def encode_key(key: object) -> bytes:
    """Return the key's pickle, the same in every process for equal texts, numbers, bytes, and tuples of them."""
    file = io.BytesIO()
    pickler = pickle.Pickler(file, _PROTOCOL)
    # With its memo the pickle would tell whether two equal parts of a key are one object.
    pickler.fast = True
    try:
        pickler.dump(key)
    except (pickle.PicklingError, AttributeError, TypeError, RecursionError, ValueError) as error:
        raise InvalidError(
            f"{key!r:.100} cannot be the key of a dict: it cannot be pickled ({error})"
        ) from None
    data = file.getvalue()
    if b"__main__" in data:
        return serialize.dumps(key, "the key")
    return data


def decode_key(data: bytes) -> object:
    """Return the key."""
    return serialize.loads(data)
