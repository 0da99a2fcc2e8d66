"""`@app.cls(…)`: makes a class one of an app."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from offload.errors import InvalidError
from offload.sdk import call_options
from offload.sdk.class_checks import check_class, complete, with_class_marks
from offload.sdk.cls import Cls, Pool
from offload.sdk.life_cycle import parameters_of
from offload.sdk.options import parse_options, split_arguments

if TYPE_CHECKING:
    from collections.abc import Mapping

    from offload.sdk.cls import ClassOwner
    from offload.sdk.options import OptionArguments

    class ClassArguments(OptionArguments, total=False):
        """The keyword arguments of `App.cls`."""

        enable_memory_snapshot: bool


T = TypeVar("T")


class ClassDecorator:
    """Makes a class one of an app."""

    def __init__(
        self,
        app: ClassOwner,
        misused: tuple[object, ...],
        arguments: Mapping[str, object],
    ) -> None:
        given = dict(arguments)
        snapshot = given.pop("enable_memory_snapshot", False)
        of_function, of_calls = split_arguments(given)
        try:
            if misused:
                raise InvalidError(
                    "@app.cls takes its options by name and needs brackets: write @app.cls()"
                )
            if not isinstance(snapshot, bool):
                raise InvalidError(f"enable_memory_snapshot={snapshot!r} is neither True nor False")
            self._options = parse_options(**of_function)
            self._call_options = call_options.defaults_of("f", of_calls) if of_calls else None
        except InvalidError as error:
            error.__traceback__ = None  # the caller's line is then the last
            raise
        self._app = app
        self._snapshot = snapshot

    def __call__(self, decorated: type[T]) -> Cls[T]:
        """Return the class as one of the app. Raises `InvalidError`."""
        try:
            check_class(decorated)
            options = with_class_marks(decorated, self._options)
            made = Cls(self._app, decorated, options, self._call_options, snapshot=self._snapshot)
            parameters = complete_or_none(decorated)
            if parameters is not None:
                self._app.functions[made.name] = made.pool(parameters, made.name)
            else:
                partial_pool = self._app.functions[made.name] = Pool(made, made.name, {})
                partial_pool.is_partial = True
        except InvalidError as error:
            error.__traceback__ = None  # the caller's line is then the last
            raise
        return made


def complete_or_none(user_class: type) -> dict[str, object] | None:
    """Return the parameters of an instance for which none are given; None where some have to be."""
    if any(each.init and not each.has_default for each in parameters_of(user_class).values()):
        return None
    return complete(user_class, {})
