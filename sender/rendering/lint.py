"""What can be said about a template's names before it is rendered for anybody.

Names are checked against what there is, fields against every shape of the audience (the set of
fields that have a value).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from jinja2 import nodes

from sender.errors import TemplateError
from sender.rendering.environment import LockedEnvironment
from sender.rendering.text import TemplateSource
from sender.rendering.variables import CAMPAIGN_FIELDS, CONTROLLER_FIELDS, ROOTS

Shape = frozenset[str]

_SAFE_TESTS = frozenset({"defined", "undefined"})
_DEFAULTS = frozenset({"default", "d"})
_KNOWN_FIELDS = {"controller": CONTROLLER_FIELDS, "campaign": CAMPAIGN_FIELDS}


@dataclass(frozen=True, slots=True)
class _Use:
    """One `recipient.field`; guarded where a default or an `is defined` stands with it."""

    field: str
    line: int
    guarded: bool


def lint(template: TemplateSource, shapes: Iterable[Shape]) -> Iterator[TemplateError]:
    """Yield what is wrong with the names of one template.

    Args:
        template: its source, unwrapped.
        shapes: every shape of the audience; none at all leaves fields unchecked.
    """
    tree = LockedEnvironment({}, autoescape=False).parse(template.source, template.name)
    yield from _unknown_names(tree, template)
    distinct = frozenset(shapes)
    if distinct:
        for use in _uses(tree, frozenset()):
            yield from _field_errors(use, distinct, template)


def _unknown_names(tree: nodes.Template, template: TemplateSource) -> Iterator[TemplateError]:
    names = list(tree.find_all(nodes.Name))
    own = {name.name for name in names if name.ctx == "store"}
    known = ROOTS | own | {"loop", "range", "super"}
    for name in names:
        if name.ctx == "store" and (name.name in ROOTS or name.name.startswith("_")):
            yield TemplateError(
                "is taken; choose another name.", path=template.path, line=name.lineno,
                key=name.name,
            )  # fmt: skip
        elif name.name not in known:
            yield _unknown(name.name, name.name, name.lineno, known, template)
    for node in tree.find_all(nodes.Getattr):
        root = node.node.name if isinstance(node.node, nodes.Name) else ""
        if root in _KNOWN_FIELDS and node.attr not in _KNOWN_FIELDS[root]:
            dotted = f"{root}.{node.attr}"
            yield _unknown(dotted, node.attr, node.lineno, _KNOWN_FIELDS[root], template)


def _unknown(
    shown: str, wrong: str, line: int, known: Iterable[str], template: TemplateSource
) -> TemplateError:
    near = get_close_matches(wrong, sorted(known), 1)
    remedy = f"Did you mean {near[0]}?" if near else "docs/templates.md lists all names."
    return TemplateError(
        "is not known.", path=template.path, line=line, key=shown, remedy=remedy
    )  # fmt: skip


def _field_errors(
    use: _Use, shapes: frozenset[Shape], template: TemplateSource
) -> Iterator[TemplateError]:
    key = f"recipient.{use.field}"
    everything = frozenset[str]().union(*shapes)
    lacking = sum(use.field not in shape for shape in shapes)
    if use.field not in everything and not use.guarded:
        yield _unknown(key, use.field, use.line, everything, template)
    elif lacking and not use.guarded:
        yield TemplateError(
            f"has no value for {lacking} of {len(shapes)} kinds of recipients.",
            path=template.path, line=use.line, key=key,
            remedy=f'Write {{{{ {key} | default("…") }}}}.',
        )  # fmt: skip


def field_names(template: TemplateSource) -> frozenset[str]:
    """Return every recipient field that a template names."""
    tree = LockedEnvironment({}, autoescape=False).parse(template.source, template.name)
    return frozenset(use.field for use in _uses(tree, frozenset()))


def _uses(node: nodes.Node, safe: frozenset[str]) -> Iterator[_Use]:
    """Yield each use below a node; `safe` are fields that stand behind a guard."""
    field = _field(node)
    if field is not None:
        yield _Use(field, node.lineno, field in safe)
    elif isinstance(node, nodes.If | nodes.CondExpr):
        yield from _branches(node, safe)
    else:
        own = _guarded_operand(node)
        inner = safe if own is None else safe | {own}
        if isinstance(node, nodes.And):
            yield from _uses(node.left, safe)
            yield from _uses(node.right, safe | _guards(node.left))
            return
        for child in node.iter_child_nodes():
            yield from _uses(child, inner)


def _branches(node: nodes.If | nodes.CondExpr, safe: frozenset[str]) -> Iterator[_Use]:
    yield from _uses(node.test, safe)
    inside = safe | _guards(node.test)
    taken = node.body if isinstance(node, nodes.If) else [node.expr1]
    other = [*node.elif_, *node.else_] if isinstance(node, nodes.If) else [node.expr2]
    for child in taken:
        yield from _uses(child, inside)
    for branch in other:
        if branch is not None:
            yield from _uses(branch, safe)


def _guards(test: nodes.Node) -> frozenset[str]:
    """Return the fields that have a value where the test holds."""
    if isinstance(test, nodes.And):
        return _guards(test.left) | _guards(test.right)
    if isinstance(test, nodes.Test) and test.name == "defined":
        field = _field(test.node)
        return frozenset({field} if field else ())
    if isinstance(test, nodes.Filter) and test.name in _DEFAULTS and _is_falsy_default(test):
        field = _guarded_operand(test)
        return frozenset({field} if field else ())
    return frozenset()


def _is_falsy_default(default: nodes.Filter) -> bool:
    return not default.args or (
        isinstance(default.args[0], nodes.Const) and not default.args[0].value
    )


def _guarded_operand(node: nodes.Node) -> str | None:
    if isinstance(node, nodes.Filter) and node.name in _DEFAULTS and node.node is not None:
        return _root_field(node.node)
    if isinstance(node, nodes.Test) and node.name in _SAFE_TESTS:
        return _root_field(node.node)
    return None


def _root_field(node: nodes.Node) -> str | None:
    """Return `address` for `recipient.address.city`."""
    field = _field(node)
    if field is None and isinstance(node, nodes.Getattr | nodes.Getitem):
        return _root_field(node.node)
    return field


def _field(node: nodes.Node) -> str | None:
    if isinstance(node, nodes.Getattr) and _is_recipient(node.node):
        return node.attr
    if isinstance(node, nodes.Getitem) and _is_recipient(node.node):
        return str(node.arg.value) if isinstance(node.arg, nodes.Const) else None
    return None


def _is_recipient(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == "recipient"
