"""What a template's skeleton depends on, read from the template itself."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from jinja2 import nodes

RECIPIENT = "recipient"
_DEFAULTS = frozenset({"default", "d"})
_DEFINED = frozenset({"defined", "undefined"})

Ancestors = tuple[nodes.Node, ...]


@dataclass(slots=True)
class FieldUse:
    """How some templates use the fields of a recipient.

    Attributes:
        printed: fields that are only printed, or asked whether they are there: of these it matters
            alone whether they have a value.
        decisive: fields that are used in another way, so that all may depend on what they say.
        is_opaque: whether the recipient is used as a whole, so that anything may matter.
    """

    printed: set[str] = field(default_factory=set)
    decisive: set[str] = field(default_factory=set)
    is_opaque: bool = False

    def note(self, tree: nodes.Template) -> None:
        """Add one template."""
        for node, ancestors in _walk(tree, ()):
            if isinstance(node, nodes.Name) and node.name == RECIPIENT:
                self._note_recipient(node, ancestors)
        self.printed -= self.decisive

    def _note_recipient(self, name: nodes.Name, ancestors: Ancestors) -> None:
        *around, parent = ancestors
        if name.ctx != "load" or not isinstance(parent, nodes.Getattr):
            self.is_opaque = True
        elif _is_only_printed(parent, tuple(around)):
            self.printed.add(parent.attr)
        else:
            self.decisive.add(parent.attr)


def _is_only_printed(value: nodes.Expr, ancestors: Ancestors) -> bool:
    *around, parent = ancestors
    if isinstance(parent, nodes.Test):
        return parent.name in _DEFINED and parent.node is value
    if isinstance(parent, nodes.Filter) and parent.name in _DEFAULTS and parent.node is value:
        return _has_plain_default(parent) and isinstance(around[-1], nodes.Output)
    return isinstance(parent, nodes.Output)


def _has_plain_default(default: nodes.Filter) -> bool:
    others = default.kwargs or default.dyn_args or default.dyn_kwargs
    plain = [isinstance(one, nodes.Const) and isinstance(one.value, str) for one in default.args]
    return plain == [True] and not others


def _walk(node: nodes.Node, ancestors: Ancestors) -> Iterator[tuple[nodes.Node, Ancestors]]:
    yield node, ancestors
    for child in node.iter_child_nodes():
        yield from _walk(child, (*ancestors, node))
