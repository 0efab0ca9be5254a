"""The rendered check: every message names its sender and carries this person's own way out.

It looks at what is sent, not at templates. The same functions check a skeleton, where the
opt-out link is a hole, and a filled message, where it is this person's address.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from sender.rendering.markup import Markup, View
from sender.rendering.profile import SenderProfile
from sender.rendering.refusal import Rule, broken
from sender.rendering.tree import Element
from sender.rendering.values import HOLE
from sender.rendering.visibility import Run, text_runs
from sender.rendering.wording import (
    has_braces,
    is_counterfeit_link,
    is_counterfeit_paragraph,
    names_way_out,
    says,
    words,
)

_HIDDEN_REMEDY = "Show it in plain, dark, full-size text, in every layout and colour scheme."


@dataclass(frozen=True)
class Wanted:
    """What a message must show.

    Attributes:
        profile: who must be named (guidance ¶51; the imprint is Part 6 of the Elections Act
            2022).
        opt_out: the personal link, or its hole.
        source: where the details came from, or its hole; None where nothing need be said.
    """

    profile: SenderProfile
    opt_out: str
    source: str | None = None

    @cached_property
    def identity(self) -> tuple[str, ...]:
        """Names and postal addresses of the controller and of every body it also speaks for."""
        named = [self.profile.name, self.profile.postal_address]
        for body in self.profile.on_behalf_of:
            named += (body.name, body.postal_address)
        return tuple(named)

    @property
    def notice(self) -> str:
        """The address of the privacy notice."""
        return self.profile.privacy_notice_url

    @cached_property
    def imprint(self) -> tuple[str, ...]:
        """Name and postal address of the promoter, where an imprint is due."""
        if not self.profile.kind.needs_imprint:
            return ()
        return self.profile.promoter_name or "", self.profile.promoter_address or ""


@dataclass(frozen=True, slots=True)
class Link:
    """One link that is not the way out, with the text around it."""

    text: str
    surroundings: str
    beside_real_one: bool

    @property
    def is_counterfeit(self) -> bool:
        """Whether it claims to be the way out."""
        return is_counterfeit_link(
            self.text, self.surroundings, beside_real_one=self.beside_real_one
        )


def check_html(markup: Markup, wanted: Wanted) -> tuple[Link, ...]:
    """Check the HTML part in every view; return its other links.

    Raises:
        MessageRefused: with the rule that is broken.
    """
    for text in _texts(markup.tree):
        refuse_braces(text)
    for view in markup.views:
        _check_view(view, wanted)
    links = tuple(_other_links(markup.tree, wanted.opt_out))
    refuse_counterfeits(links)
    return links


def refuse_counterfeits(links: tuple[Link, ...]) -> None:
    """Raise MessageRefused when a link claims to be the way out and goes elsewhere."""
    if any(link.is_counterfeit for link in links):
        raise broken(
            Rule.OPT_OUT_COUNTERFEIT,
            "A link that speaks of opting out does not go to this person's opt-out page.",
            remedy="Link it to {{ opt_out_url }}, or word it differently.",
        )


def has_brace(tree: Element) -> bool:
    """Whether the message itself has a brace, which a value beside it could double."""
    return any("{" in text or "}" in text for text in _texts(tree))


def _texts(element: Element) -> Iterator[str]:
    yield from element.attributes.values()
    for child in element.children:
        if isinstance(child, str):
            yield child
        else:
            yield from _texts(child)


def _check_view(view: View, wanted: Wanted) -> None:
    runs = list(text_runs(view.tree, dark_canvas=view.dark_canvas))
    seen = words("".join(run.text for run in runs if run.seen))
    present = words("".join(run.text for run in runs))
    _check_phrases(wanted.identity, seen, present, (Rule.IDENTITY_MISSING, Rule.IDENTITY_HIDDEN))
    _check_phrases(wanted.imprint, seen, present, (Rule.IMPRINT_MISSING, Rule.IMPRINT_HIDDEN))
    if wanted.source is not None:
        notice = [run for run in runs if run.seen and _goes_to(run, wanted.notice)]
        if not says(seen, wanted.source) or not words(_seen(notice)).strip():
            raise broken(Rule.SOURCE_MISSING, _SOURCE_PROBLEM, remedy=_SOURCE_REMEDY)
    _check_way_out(runs, wanted.opt_out)


_SOURCE_PROBLEM = (
    "The first message to this person does not say where the details came from, with the notice."
)
_SOURCE_REMEDY = (
    "Where third_party_source is defined, show it and link to {{ controller.privacy_notice_url }}."
)
_WHAT = {
    Rule.IDENTITY_MISSING: "Name or postal address of the controller or a body it speaks for",
    Rule.IMPRINT_MISSING: "Name or postal address of the imprint's promoter",
}


def _check_phrases(
    phrases: tuple[str, ...], seen: str, present: str, rules: tuple[Rule, Rule]
) -> None:
    missing, hidden = rules
    for phrase in phrases:
        if not says(present, phrase):
            raise broken(
                missing, f"{_WHAT[missing]} is missing.",
                remedy="Complete the controller's record, and show it outside recipient values.",
            )  # fmt: skip
        if not says(seen, phrase):
            raise broken(hidden, f"{_WHAT[missing]} is hidden.", remedy=_HIDDEN_REMEDY)


def _check_way_out(runs: list[Run], opt_out: str) -> None:
    linked = [run for run in runs if _goes_to(run, opt_out)]
    if not linked:
        raise broken(
            Rule.OPT_OUT_MISSING, "This person's own opt-out link is missing.",
            remedy='Add <a href="{{ opt_out_url }}">Unsubscribe</a>; the layouts have it.',
        )  # fmt: skip
    if not _has_own_words(_seen(linked)):
        raise broken(Rule.OPT_OUT_HIDDEN, "The opt-out link is hidden.", remedy=_HIDDEN_REMEDY)
    if not any(_explains(paragraph, opt_out) for paragraph in _paragraphs(runs)):
        raise broken(
            Rule.OPT_OUT_UNCLEAR, "Nothing at the opt-out link says that it is one.",
            remedy="Say “Unsubscribe” or “opt out” in its text.",
        )  # fmt: skip


def _goes_to(run: Run, target: str) -> bool:
    return run.link is not None and run.link.attributes.get("href") == target


def _explains(paragraph: list[Run], opt_out: str) -> bool:
    link = "".join(run.text for run in paragraph if run.seen and _goes_to(run, opt_out))
    return _has_own_words(link) and names_way_out(_seen(paragraph))


def _has_own_words(text: str) -> bool:
    """Whether text stands there that is no recipient's value."""
    return bool(words(HOLE.sub(" ", text)).strip())


def _seen(paragraph: list[Run]) -> str:
    return "".join(run.text for run in paragraph if run.seen)


def _paragraphs(runs: list[Run]) -> Iterator[list[Run]]:
    paragraph: list[Run] = []
    for run in runs:
        if run.is_edge:
            yield paragraph
            paragraph = []
        else:
            paragraph.append(run)
    yield paragraph


def _other_links(tree: Element, opt_out: str) -> Iterator[Link]:
    for paragraph in _paragraphs(list(text_runs(tree, dark_canvas=False))):
        links = {id(run.link): run.link for run in paragraph if run.link is not None}
        beside = any(_goes_to(run, opt_out) for run in paragraph)
        for link in links.values():
            if link.attributes.get("href") != opt_out:
                text = "".join(run.text for run in paragraph)
                yield Link(_claims(link), text, beside)


def _claims(link: Element) -> str:
    """Return all that a link says: its text unbroken, then the texts of pictures and tips."""
    return " ".join([_content(link), *_tips(link)])


def _content(element: Element) -> str:
    return "".join(
        child if isinstance(child, str) else _content(child) for child in element.children
    )


def _tips(element: Element) -> Iterator[str]:
    yield from (element.attributes.get(name, "") for name in ("title", "alt", "aria-label"))
    for child in element.children:
        if isinstance(child, Element):
            yield from _tips(child)


def check_text(text: str, wanted: Wanted) -> None:
    """Check the text part.

    Raises:
        MessageRefused: with the rule that is broken.
    """
    said = words(text)
    if not all(says(said, phrase) for phrase in wanted.identity):
        raise broken(Rule.TEXT_IDENTITY, "The text part does not name every sender with address.")
    if not all(says(said, phrase) for phrase in wanted.imprint):
        raise broken(Rule.TEXT_IMPRINT, "The text part lacks the imprint.")
    if wanted.source is not None and not (says(said, wanted.source) and wanted.notice in text):
        raise broken(Rule.TEXT_SOURCE, _SOURCE_PROBLEM, remedy=_SOURCE_REMEDY)
    if wanted.opt_out not in text:
        raise broken(
            Rule.TEXT_OPT_OUT, "The text part lacks this person's own opt-out link.",
            remedy="Add a line such as: Unsubscribe: {{ opt_out_url }}",
        )  # fmt: skip


def refuse_plain(text: str, opt_out: str) -> None:
    """Refuse plain text with braces of a template or a counterfeit way out.

    Raises:
        MessageRefused: with the rule that is broken.
    """
    refuse_braces(text)
    if any(is_counterfeit_paragraph(part, opt_out) for part in text.split("\n\n")):
        raise broken(
            Rule.OPT_OUT_COUNTERFEIT,
            "A paragraph speaks of opting out and gives another address for it.",
            remedy="Give {{ opt_out_url }} there, or word it differently.",
        )


def refuse_braces(text: str) -> None:
    """Raise MessageRefused when braces of a template are left in the text."""
    if has_braces(text):
        raise broken(Rule.BRACES, "Braces of a template are left in the message.")
