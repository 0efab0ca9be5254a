"""Which links a campaign's templates show everybody alike. Pure: templates in, links out.

What depends on the recipient in any way is left out: a link in a branch, or picked from a list of
the campaign's own values, can tell as much of who follows it as one with a number of theirs.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from jinja2 import nodes

from sender.rendering.environment import LockedEnvironment
from sender.rendering.kind_lint import links_in
from sender.rendering.text import TemplateSource

_SAME_FOR_ALL: Final = frozenset({"values", "controller", "campaign", "sender_name"})
_VALUES: Final = "values"


def fixed_links(templates: Iterable[TemplateSource], values: Mapping[str, Any]) -> frozenset[str]:
    """Return every link that stands in the templates as it is, whoever the recipient is.

    Args:
        templates: the campaign's own, and its layout.
        values: the campaign's constants; those that are printed as they are count.
    """
    environment = LockedEnvironment({}, autoescape=False)
    found: set[str] = set()
    for one in templates:
        for text in _texts(environment.parse(one.source, one.name), values):
            found |= links_in(text)
    return frozenset(found)


def _texts(node: nodes.Node, values: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(node, nodes.TemplateData):
        yield node.data
    elif isinstance(node, nodes.Output):
        for part in node.nodes:
            constant = _constant(part, values)
            yield from _texts(part, values) if constant is None else [constant]
    elif not isinstance(node, nodes.Expr) and not _is_personal(node):
        for child in node.iter_child_nodes():
            yield from _texts(child, values)


def _is_personal(node: nodes.Node) -> bool:
    """Whether a branch may depend on the recipient; a name of the template's own may, too."""
    condition = node.test if isinstance(node, nodes.If) else None
    condition = node.iter if isinstance(node, nodes.For) else condition
    if condition is None:
        return False
    names = [condition, *condition.find_all(nodes.Name)]
    return any(isinstance(one, nodes.Name) and one.name not in _SAME_FOR_ALL for one in names)


def _constant(node: nodes.Expr, values: Mapping[str, Any]) -> str | None:
    """Return the text of `values.links.survey`; None for whatever else is printed."""
    found: Any = values
    for name in _path(node):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else None


def _path(node: nodes.Node) -> tuple[str, ...]:
    """Return the names behind `values`, and one that no constant has for any other expression."""
    if isinstance(node, nodes.Name) and node.name == _VALUES:
        return ()
    if isinstance(node, nodes.Getattr):
        return (*_path(node.node), node.attr)
    return ("",)
