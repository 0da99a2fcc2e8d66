"""Dead letters: inputs that were given up because their workers or containers went away too often."""

from __future__ import annotations

from typing import TYPE_CHECKING

from offload.errors import NotFoundError
from offload.sdk.blocking import Blocking, Work, blocking
from offload.sdk.call import FunctionCall
from offload.sdk.option_checks import check_whole
from offload.sdk.session import current_client
from offload.sdk.values import Letter

if TYPE_CHECKING:
    from offload.sdk.app import App


class DeadLetter(Letter):
    """An input that ended as lost. `replay` gives it another chance, `drop` takes it off the list."""

    @blocking
    def replay(self) -> Work[str, FunctionCall[object]]:
        """Submit the input again, as a call of its own, and return that. The outcome of the old call stays."""
        return Work(current_client().replay(self.input_id), self._replayed)

    @blocking
    def drop(self) -> Work[None, None]:
        """Take the input off the list; its outcome stays. Idempotent."""
        return Work(current_client().drop_letter(self.input_id), lambda _: None)

    def _replayed(self, call_id: str) -> FunctionCall[object]:
        if not call_id:
            raise NotFoundError(
                f"{self.input_id} is no dead letter any more: it was replayed or dropped meanwhile"
            )
        return FunctionCall(call_id, self.function_name, "single")


def _dead_letters(
    app: App | str | None = None, limit: int = 100
) -> Work[list[Letter], list[DeadLetter]]:
    check_whole("limit", limit, 1, 5_000)
    name = "" if app is None else app if isinstance(app, str) else app.name
    letters = current_client().dead_letters(name, limit)
    return Work(letters, lambda found: [DeadLetter(**vars(letter)) for letter in found])


dead_letters = Blocking(_dead_letters)
"""Return the newest lost inputs that were neither replayed nor dropped, of an app (or its id or name) or of all."""
