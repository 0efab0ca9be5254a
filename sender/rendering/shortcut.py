"""Render once for all people whose skeleton is the same, and clean only their values again.

A template whose fields are printed, or asked whether they are there, gives the same skeleton to
everybody who has the same fields. So it is rendered with stand-ins for the values, which shows into
which holes they go. Where another use of a field could decide, what the field says is part of what
is remembered; whatever is out of the ordinary is rendered in full.
"""

import secrets
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from sender.rendering.field_use import RECIPIENT, FieldUse
from sender.rendering.values import LONGEST_VALUE, SOURCE_HOLE, Literal, one_line

MOST_SHAPES = 256

Skeleton = tuple[str, ...]
"""A skeleton's chunks. They are the compiled template's own constants, whose hashes are known, so
that looking a skeleton up costs no pass over its text."""

Rendered = tuple[Skeleton, list[str]]
_SOURCE = "third_party_source"

Shape = tuple[bool, tuple[bool, ...], tuple[str | None, ...]]
"""Whether there is a source to be told; which printed fields have a value; the decisive ones'."""

_Pattern = tuple[Skeleton, tuple[int | str, ...]]
"""A skeleton, and what goes into each hole: the printed field of this number, or this text."""


class Shortcut:
    """Renders one template; says the same as rendering it in full. Thread-safe."""

    def __init__(
        self, use: FieldUse, constants: Mapping[str, Any], render: Callable[[Any], Rendered]
    ) -> None:
        """Prepare; nothing is rendered yet.

        Args:
            use: of the template and of all that it extends.
            constants: every variable that is the same for all recipients.
            render: renders in full.
        """
        self._render, self._constants = render, constants
        self._is_opaque = use.is_opaque
        self._printed = tuple(sorted(use.printed))
        self._decisive = tuple(sorted(use.decisive))
        self._stand_ins = tuple(secrets.token_hex(16) for _ in self._printed)
        self._pattern = lru_cache(MOST_SHAPES)(self._find_pattern)

    def render(self, variables: Mapping[str, Any]) -> Rendered:
        """Return the skeleton and its values, in the order of their holes.

        Raises:
            MessageRefused: as rendering in full does.
        """
        fields = variables[RECIPIENT]
        if self._is_opaque or type(fields) is not dict:
            return self._render(variables)
        texts: list[str] = []
        for name in self._printed:
            text = _plain_text(fields.get(name))
            if text is None:
                return self._render(variables)
            texts.append(text)
        decisive = tuple([fields.get(name) for name in self._decisive])
        if not all(value is None or type(value) is str for value in decisive):
            return self._render(variables)
        shape = (_SOURCE in variables, tuple([bool(text) for text in texts]), decisive)
        skeleton, filling = self._pattern(shape)
        return skeleton, [texts[one] if type(one) is int else one for one in filling]  # type: ignore[misc]  # mypy does not narrow by type()

    def _find_pattern(self, shape: Shape) -> _Pattern:
        with_source, has_value, decisive = shape
        fields: dict[str, str | None] = dict(zip(self._decisive, decisive, strict=True))
        named = zip(self._printed, self._stand_ins, has_value, strict=True)
        fields |= {name: stand_in for name, stand_in, there in named if there}
        variables = {**self._constants, RECIPIENT: fields}
        if with_source:
            variables[_SOURCE] = Literal(SOURCE_HOLE)
        skeleton, values = self._render(variables)
        numbers = {stand_in: number for number, stand_in in enumerate(self._stand_ins)}
        return skeleton, tuple(numbers.get(value, value) for value in values)


def _plain_text(value: object) -> str | None:
    """Return a value as it is printed, "" where it counts as missing, None if it is unusual."""
    if value is None:
        return ""
    if type(value) is not str or len(value) > LONGEST_VALUE:
        return None
    text = one_line(value)
    return text if text or not value or value.isspace() else None
