"""The part of Jinja that campaign templates may use.

What could see, cut or multiply text that was already rendered (macros, filter blocks, captured
blocks, string arithmetic) is no part of it: so every value reaches the message through one hole,
and no template can hang a worker.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import TemplateSyntaxError, nodes
from markupsafe import escape

from sender.rendering.values import Literal

FILTERS = frozenset({
    "abs", "capitalize", "count", "d", "default", "first", "float", "int", "join", "last",
    "length", "lower", "round", "title", "trim", "truncate", "upper",
})  # fmt: skip
TESTS = frozenset({
    "==", "defined", "divisibleby", "eq", "equalto", "even", "false", "ge", "greaterthan", "gt",
    "in", "iterable", "le", "lessthan", "lt", "ne", "number", "odd", "sequence", "string", "true",
    "undefined",
})  # fmt: skip
DEEPEST_LOOPS = 2
LONGEST_DELIMITER = 20

_ALLOWED = frozenset({
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Block,
    nodes.Extends, nodes.Assign, nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem,
    nodes.Filter, nodes.Test, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or,
    nodes.Not, nodes.Add, nodes.Sub, nodes.Neg, nodes.Concat, nodes.List, nodes.Tuple, nodes.Call,
    nodes.Keyword,
})  # fmt: skip
_GROWING = frozenset({nodes.Concat, nodes.List, nodes.Tuple, nodes.Call})
_NAMES = {
    "FromImport": "from … import", "CallBlock": "call", "FilterBlock": "filter block",
    "AssignBlock": "set block", "Mul": "*", "Pow": "**", "Mod": "%", "Div": "/", "FloorDiv": "//",
}  # fmt: skip


def restrict(tree: nodes.Template, name: str | None) -> nodes.Template:
    """Refuse what the grammar leaves out, and bound every loop.

    Raises:
        TemplateSyntaxError: with the line.
    """
    for node, ancestors in _walk(tree, ()):
        _refuse_node(node, ancestors, name)
    for loop in tree.find_all(nodes.For):
        loop.iter = nodes.Filter(
            loop.iter,
            "bounded",
            [],
            [],
            None,
            None,
            lineno=loop.lineno,
            environment=tree.environment,
        )
    return tree


def _walk(
    node: nodes.Node, ancestors: tuple[nodes.Node, ...]
) -> Iterator[tuple[nodes.Node, tuple[nodes.Node, ...]]]:
    yield node, ancestors
    for child in node.iter_child_nodes():
        yield from _walk(child, (*ancestors, node))


def _refuse_node(node: nodes.Node, ancestors: tuple[nodes.Node, ...], name: str | None) -> None:
    problem = _problem(node, ancestors)
    if problem:
        raise TemplateSyntaxError(problem, node.lineno, name)


def _problem(node: nodes.Node, ancestors: tuple[nodes.Node, ...]) -> str:
    if type(node) not in _ALLOWED:
        kind = type(node).__name__
        return f"'{_NAMES.get(kind, kind.lower())}' is not available in campaign templates"
    if isinstance(node, nodes.Call):
        return _call_problem(node, ancestors)
    if isinstance(node, nodes.For):
        return _loop_problem(node, ancestors)
    return _plain_problem(node)


def _plain_problem(node: nodes.Node) -> str:
    if isinstance(node, nodes.Filter):
        return _filter_problem(node)
    if isinstance(node, nodes.Assign):
        return _assign_problem(node)
    if isinstance(node, nodes.Test) and node.name not in TESTS:
        return f"the test '{node.name}' is not available in campaign templates"
    if isinstance(node, nodes.Extends) and not isinstance(node.template, nodes.Const):
        return "'extends' must name the layout in quotes"
    return ""


def _filter_problem(node: nodes.Filter) -> str:
    if node.name not in FILTERS:
        return f"the filter '{node.name}' is not available in campaign templates"
    if node.name == "join" and not all(_is_short(argument) for argument in node.args):
        return f"'join' takes a delimiter in quotes, at most {LONGEST_DELIMITER} characters"
    return ""


def _is_short(argument: nodes.Expr) -> bool:
    return isinstance(argument, nodes.Const) and len(str(argument.value)) <= LONGEST_DELIMITER


def _call_problem(node: nodes.Call, ancestors: tuple[nodes.Node, ...]) -> str:
    called = node.node.name if isinstance(node.node, nodes.Name) else ""
    parent = ancestors[-1]
    if called == "super" and isinstance(parent, nodes.Output):
        return ""
    if called == "range" and isinstance(parent, nodes.For):
        return ""
    return "only {{ super() }} by itself and range(…) in a loop can be called"


def _loop_problem(node: nodes.For, ancestors: tuple[nodes.Node, ...]) -> str:
    if node.recursive:
        return "recursive loops are not available in campaign templates"
    depth = 1 + sum(isinstance(ancestor, nodes.For) for ancestor in ancestors)
    return f"loops nest at most {DEEPEST_LOOPS} deep" if depth > DEEPEST_LOOPS else ""


def _assign_problem(node: nodes.Assign) -> str:
    if not isinstance(node.target, nodes.Name):
        return "'set' takes one name"
    inner = [node.node, *node.node.find_all(nodes.Expr)]
    if any(type(part) in _GROWING for part in inner):
        return "'set' takes one value, not a list or joined text"
    if any(isinstance(part, nodes.Filter) and part.name == "join" for part in inner):
        return "'set' takes one value, not joined text"
    return ""


def personal_branches(tree: nodes.Template) -> list[nodes.If | nodes.For]:
    """Return every `if` and `for` that depends on the recipient, in a fixed order."""
    branches = tree.find_all((nodes.If, nodes.For))
    return [
        branch
        for branch in branches
        if isinstance(branch, nodes.If | nodes.For) and _is_personal(_condition(branch))
    ]


def force_branches(tree: nodes.Template, taken: frozenset[int]) -> nodes.Template:
    """Take the personal branches with these indices (and those around them), leave the others."""
    branches = personal_branches(tree)
    around = {
        id(outer) for index in taken for outer in branches
        if any(inner is branches[index] for inner in outer.find_all((nodes.If, nodes.For)))
        and not _is_alternative(outer, branches[index])
    }  # fmt: skip
    for index, branch in enumerate(branches):
        chosen = index in taken or id(branch) in around
        if isinstance(branch, nodes.If):
            branch.test = nodes.Const(chosen, lineno=branch.lineno)
        elif not chosen:
            branch.iter = nodes.List([], lineno=branch.lineno)
    return tree


def _is_alternative(outer: nodes.If | nodes.For, inner: nodes.Node) -> bool:
    """Whether `inner` lies in an elif or else of `outer`."""
    others = [*outer.elif_, *outer.else_] if isinstance(outer, nodes.If) else outer.else_
    return any(
        inner is other or any(inner is n for n in other.find_all(nodes.Node)) for other in others
    )


def _condition(branch: nodes.If | nodes.For) -> nodes.Node:
    return branch.test if isinstance(branch, nodes.If) else branch.iter


def _is_personal(condition: nodes.Node) -> bool:
    names = [condition, *condition.find_all(nodes.Name)]
    return any(isinstance(name, nodes.Name) and name.name == "recipient" for name in names)


def put_in(tree: nodes.Template, constants: Mapping[str, Any], *, autoescape: bool) -> None:
    """Write what is the same for everybody into the template itself, escaped."""
    for output in tree.find_all(nodes.Output):
        output.nodes = [_constant(node, constants, autoescape) or node for node in output.nodes]


def _constant(
    node: nodes.Expr,
    constants: Mapping[str, Any],
    autoescape: bool,  # noqa: FBT001 - private
) -> nodes.TemplateData | None:
    value: object = None
    if isinstance(node, nodes.Name):
        value = constants.get(node.name)
    elif isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
        group = constants.get(node.node.name)
        value = group.get(node.attr) if isinstance(group, Mapping) else None
    if not isinstance(value, Literal):
        return None
    data = str(escape(value)) if autoescape else str(value)
    return nodes.TemplateData(data, lineno=node.lineno)
