"""What one container is told of secrets, and the hiding of it in all that the container says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from offload.wire import guest
from offload.worker.core.redaction import Redactor

if TYPE_CHECKING:
    from offload.worker.core.values import Failure, Function
    from offload.worker.ports import SecretSource


class Secrecy:
    """Of a function without secrets it does nothing."""

    def __init__(self, function: Function, container_id: str, source: SecretSource | None) -> None:
        self._function = function
        self._container_id = container_id
        self._source = source
        self._redactor: Redactor | None = None

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to hide."""
        return self._redactor is not None

    async def learn(self) -> Function:
        """Ask for the values, and return the function with them in its environment. Raises `ContainerStartError`.

        What the function's `env` says comes last: it is what its author wrote beside it.
        """
        function = self._function
        if not function.secrets or self._source is None:
            return function
        values = await self._source.reveal(self._container_id, function.function_id)
        self._redactor = Redactor(values.values())
        return replace(function, env=tuple(sorted({**values, **dict(function.env)}.items())))

    def line(self, source: str, input_id: str, text: str) -> str:
        """Return a line of output without values; `source` is the pipe or stream that it came by."""
        if self._redactor is None:
            return text
        return self._redactor.line((source, input_id), text)

    def text(self, text: str) -> str:
        """Return a text without values."""
        return text if self._redactor is None else self._redactor.text(text)

    def failure(self, failure: Failure | None) -> Failure | None:
        """Return why a container ended without values."""
        if self._redactor is None or failure is None:
            return failure
        return failure._replace(reason=self._redactor.text(failure.reason))

    def message(self, message: guest.Message) -> guest.Message:
        """Return what a runner said without values. Results are the user's own, and stay as they are."""
        if self._redactor is None:
            return message
        if isinstance(message, guest.Outputs):
            return guest.Outputs(
                tuple(
                    each._replace(text=self.line(f"sys.{each.stream}", each.input_id, each.text))
                    for each in message.lines
                )
            )
        if isinstance(message, guest.Results):
            hidden = (
                each if each.fault is None else each._replace(fault=self._fault(each.fault))
                for each in message.results
            )
            return guest.Results(tuple(hidden))
        if isinstance(message, guest.Loaded) and message.fault is not None:
            return message._replace(fault=self._fault(message.fault))
        return message

    def _fault(self, fault: guest.Fault) -> guest.Fault:
        assert self._redactor is not None, "there is something to hide"  # noqa: S101  # a bug here
        redactor = self._redactor
        exception = fault.exception
        if exception is not None:
            exception = exception._replace(inline=redactor.same_length(exception.inline))
        return fault._replace(
            type_name=redactor.text(fault.type_name),
            message=redactor.text(fault.message),
            frames=tuple(
                each._replace(
                    file=redactor.text(each.file),
                    function=redactor.text(each.function),
                    text=redactor.text(each.text),
                )
                for each in fault.frames
            ),
            exception=exception,
        )
