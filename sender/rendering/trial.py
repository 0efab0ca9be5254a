"""Trying templates on every kind of recipient, before anybody is written to.

Each shape of the audience is rendered and checked with sample values, with and without a source
to be told. Every `if` and `for` that depends on the recipient is also taken and left by force, so
that no branch can hold back what the check refuses until the real recipient comes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sender.errors import TemplateError
from sender.rendering.lint import Shape, field_names, lint
from sender.rendering.message import RenderedMessage
from sender.rendering.profile import JsonValue, Recipient
from sender.rendering.refusal import MessageRefused, Rule
from sender.rendering.text import TemplateSource
from sender.rendering.values import Sample

Render = Callable[[Recipient], RenderedMessage]

_SAMPLE_URL = "https://opt-out.invalid/o/0000000000000000000000"
_SAMPLE_SOURCE = "Sample Source Ltd"
_SOURCE = frozenset({Rule.SOURCE_MISSING, Rule.TEXT_SOURCE})
_DEPENDS_ON_VALUES = frozenset({Rule.RENDER_FAILED, Rule.VALUE_NOT_TEXT})
_SOURCE_WARNING = (
    "People whose details came from a third party will be refused: the templates do not say the "
    "source and the privacy notice. Where third_party_source is defined, show both."
)


@dataclass(frozen=True, slots=True)
class TemplateReport:
    """What `campaign check` found; without errors every shape can be sent."""

    errors: tuple[TemplateError, ...]
    warnings: tuple[str, ...] = ()


def try_out(
    templates: Sequence[TemplateSource],
    shapes: frozenset[Shape],
    natural: Render,
    forced: Iterable[Render],
    path: Path,
    *,
    sms: bool = False,
) -> TemplateReport:
    """Return everything that is wrong with a campaign's templates.

    Args:
        templates: all of them, for their names.
        shapes: the kinds of recipients.
        natural: renders as a launch would.
        forced: render with some branches taken and others left.
        path: whom to blame where a rendered message fails the check.
        sms: whether recipients are numbers.
    """
    errors = [error for template in templates for error in lint(template, shapes)]
    named = frozenset[str]().union(*(field_names(template) for template in templates))
    kinds = {shape & named for shape in shapes} or {named}
    trials = [
        *((natural, recipient) for kind in kinds for recipient in _recipients(kind, sms=sms)),
        *((render, person) for render in forced for person in _recipients(named, sms=sms)),
    ]
    refusals, warnings = _outcomes(trials)
    if errors:  # the same lack of a value, found twice
        refusals = [refusal for refusal in refusals if refusal.rule is not Rule.UNDEFINED]
    errors += [_as_error(refusal, path) for refusal in refusals]
    return TemplateReport(tuple(errors), tuple(dict.fromkeys(warnings)))


def _outcomes(
    trials: Iterable[tuple[Render, Recipient]],
) -> tuple[list[MessageRefused], list[str]]:
    refusals: dict[tuple[Rule, str], MessageRefused] = {}
    warnings: list[str] = []
    for render, recipient in trials:
        try:
            warnings += render(recipient).warnings
        except MessageRefused as refusal:
            if refusal.rule in _DEPENDS_ON_VALUES:
                warnings.append(f"Could not be tried with sample values: {refusal.problem}")
            elif refusal.rule in _SOURCE:
                warnings.append(_SOURCE_WARNING)
            else:
                refusals[refusal.rule, refusal.problem] = refusal
    return list(refusals.values()), warnings


def _recipients(fields: Iterable[str], *, sms: bool) -> Iterator[Recipient]:
    address = "+447700900000" if sms else "sample@opt-out.invalid"
    values: dict[str, JsonValue] = {name: Sample("Sample") for name in fields}
    for source in (None, _SAMPLE_SOURCE):
        yield Recipient(address, values, _SAMPLE_URL, source)


def _as_error(refusal: MessageRefused, path: Path) -> TemplateError:
    return TemplateError(refusal.problem, path=path, key=refusal.code, remedy=refusal.remedy)
