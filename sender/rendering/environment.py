"""The locked-down Jinja environment of campaign templates, and one compiled template."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

import jinja2
from jinja2 import nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from sender.errors import TemplateError
from sender.rendering import grammar
from sender.rendering.field_use import FieldUse
from sender.rendering.refusal import Rule, unrendered
from sender.rendering.shortcut import Shortcut, Skeleton
from sender.rendering.text import TemplateSource
from sender.rendering.values import HOLE, MOST_VALUES, TEXT_HOLES, Literal, Sample, as_text

LONGEST_OUTPUT = 1_000_000
"""Characters of one part. SES takes 40 MB, but Gmail cuts HTML at 102 KB."""
LONGEST_LOOP = 200
LONGEST_TEMPLATE = 500_000
_CHUNKS_AT_ONCE = 1_000
_HOLES = "_holes"
_HOLE_CHARACTERS = [chr(TEXT_HOLES + index) for index in range(MOST_VALUES)]

Variables = Mapping[str, Any]


class LockedEnvironment(ImmutableSandboxedEnvironment):
    """Sandboxed, strict, without methods, globals or files."""

    intercepted_binops = frozenset({"+", "-"})

    def __init__(
        self,
        sources: Mapping[str, str],
        *,
        autoescape: bool,
        constants: Variables | None = None,
        forced: tuple[str, frozenset[int]] | None = None,
    ) -> None:
        """Prepare for templates.

        Args:
            sources: the templates by name.
            autoescape: whether they are HTML.
            constants: what is the same in every message of the run.
            forced: a template's name, and which of its personal branches are taken whatever the
                recipient; the others are left.
        """
        self.constants, self._forced = constants, forced
        self.use = FieldUse()
        super().__init__(
            autoescape=autoescape,
            undefined=jinja2.StrictUndefined,
            loader=jinja2.DictLoader(sources),
            finalize=_leave_hole,
            keep_trailing_newline=True,
            auto_reload=False,
            cache_size=8,
        )
        self.globals = {}
        self.filters = {name: self.filters[name] for name in grammar.FILTERS}
        self.filters["bounded"] = _bounded
        self.tests = {name: self.tests[name] for name in grammar.TESTS}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        if len(source) > LONGEST_TEMPLATE:
            raise jinja2.TemplateSyntaxError("the template is over 500,000 characters", 1, name)
        private = HOLE.search(source)
        if private:
            line = source.count("\n", 0, private.start()) + 1
            raise jinja2.TemplateSyntaxError("private-use characters are not allowed", line, name)
        tree = grammar.restrict(super()._parse(source, name, filename), name)
        if self._forced is not None and name == self._forced[0]:
            grammar.force_branches(tree, self._forced[1])
        if self.constants is not None:
            grammar.put_in(tree, self.constants, autoescape=self.autoescape is True)
        self.use.note(tree)
        return tree

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Look into mappings and `loop` only; null and blank are as good as missing."""
        if type(obj) is dict:  # the common case, tens of times a message
            value = obj.get(attribute)
            if value is not None and not (type(value) is str and (not value or value.isspace())):
                return value
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Look into mappings, lists and `loop` only; null and blank are as good as missing."""
        value: Any = None
        if isinstance(obj, dict | Mapping):
            value = obj.get(argument) if isinstance(argument, str) else None
        elif isinstance(obj, list | tuple) and isinstance(argument, int):
            value = obj[argument] if -len(obj) <= argument < len(obj) else None
        elif isinstance(obj, Sample):
            return obj
        elif isinstance(obj, LoopContext):
            return super().getattr(obj, argument)
        if value is None or (isinstance(value, str) and not value.strip()):
            return self.undefined(obj=obj, name=argument)
        return value

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Calculate with numbers only: text grows through `~` alone, which cannot repeat."""
        if not (isinstance(left, int | float) and isinstance(right, int | float)):
            raise SecurityError("only numbers can be added; join text with ~")
        return super().call_binop(context, operator, left, right)


@pass_context
def _leave_hole(context: Context, value: object) -> str:
    """Replace a value by a hole; `pass_context` keeps Jinja from folding constants."""
    kind = type(value)
    if kind is Literal:
        return value  # type: ignore[return-value] # a Literal is text
    if kind is not str:
        if hasattr(value, "__html__"):  # only {{ super() }} yields markup; its values are holes
            return value  # type: ignore[return-value] # Markup is text
        if isinstance(value, jinja2.Undefined):
            return str(value)
    text = as_text(value)
    if not text:
        return ""
    holes: list[str] = context.parent[_HOLES]
    if len(holes) >= MOST_VALUES:
        raise unrendered(Rule.OUTPUT_TOO_LONG, f"A part has more than {MOST_VALUES} values.")
    holes.append(text)
    return _HOLE_CHARACTERS[len(holes) - 1]


def _bounded(items: Any) -> Any:
    if isinstance(items, jinja2.Undefined | range):
        return items
    if isinstance(items, Sample):
        return [items]
    if not isinstance(items, list | tuple) or len(items) > LONGEST_LOOP:
        raise SecurityError(f"a loop takes a list of at most {LONGEST_LOOP} items")
    return items


def _bounded_range(*bounds: int) -> range:
    numbers = range(*bounds)
    if len(numbers) > LONGEST_LOOP:
        raise SecurityError(f"range() has at most {LONGEST_LOOP} numbers")
    return numbers


_GLOBALS: Variables = {"range": _bounded_range}


class CompiledTemplate:
    """One template that renders to a skeleton and the values that belong into its holes."""

    def __init__(self, environment: LockedEnvironment, template: TemplateSource) -> None:
        """Compile `template`, which the environment's loader knows by name.

        Raises:
            TemplateError: it does not parse or uses what is not available; with the line.
        """
        self.path = template.path
        try:
            self._template = environment.get_template(template.name)
        except jinja2.TemplateSyntaxError as error:
            raise _syntax_error(error, template.path) from None
        except RecursionError:
            raise TemplateError("is nested too deep.", path=template.path) from None
        self._shortcut = Shortcut(environment.use, environment.constants or {}, self.render_fully)

    def render(self, variables: Variables) -> tuple[Skeleton, list[str]]:
        """Return the skeleton and its values, in the order of their holes.

        Raises:
            MessageRefused: reason RENDERING; names template and line, never a value.
        """
        return self._shortcut.render(variables)

    def render_fully(self, variables: Variables) -> tuple[Skeleton, list[str]]:
        """Return what `render` returns, without remembering anything."""
        values: list[str] = []
        context = self._template.new_context({**_GLOBALS, **variables, _HOLES: values}, shared=True)
        try:
            return _collect(self._template, context), values
        except jinja2.UndefinedError as error:
            raise unrendered(
                Rule.UNDEFINED,
                f"{self._place(error)}: {error.message}.",
                remedy='Write a default: {{ recipient.field | default("…") }}.',
            ) from None
        except jinja2.TemplateNotFound as error:
            raise unrendered(
                Rule.RENDER_FAILED, f"{self.path}: extends {error.name}, which is not its layout."
            ) from None
        except SecurityError as error:
            raise unrendered(Rule.RENDER_FAILED, f"{self._place(error)}: {error}.") from None
        except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
            kind = type(error).__name__
            raise unrendered(
                Rule.RENDER_FAILED, f"{self._place(error)}: cannot be calculated ({kind})."
            ) from None

    def _place(self, error: BaseException) -> str:
        return _place(error.__traceback__, self.path)


def _collect(template: jinja2.Template, context: Context) -> Skeleton:
    chunks: list[str] = []
    length = 0
    stream = template.root_render_func(context)
    while some := tuple(islice(stream, _CHUNKS_AT_ONCE)):
        length += sum(map(len, some))
        if length > LONGEST_OUTPUT:
            raise unrendered(Rule.OUTPUT_TOO_LONG, "A part has more than 1,000,000 characters.")
        chunks += some
    return tuple(chunks)


def _place(trace: TracebackType | None, path: Path) -> str:
    """Return template:line of the innermost frame that runs template code."""
    place = str(path)
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if isinstance(template, jinja2.Template):
            place = f"{template.name}:{template.get_corresponding_lineno(trace.tb_lineno)}"
        trace = trace.tb_next
    return place


def _syntax_error(error: jinja2.TemplateSyntaxError, fallback: Path) -> TemplateError:
    path = Path(error.name) if error.name else fallback
    message = (error.message or "does not parse").rstrip(".")
    return TemplateError(
        f"{message}.", path=path, line=error.lineno, remedy="docs/templates.md lists what is there."
    )
