"""The templates of one campaign, compiled: wrapped in their layout where they do not extend it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from sender.errors import TemplateError
from sender.rendering import grammar
from sender.rendering.environment import CompiledTemplate, LockedEnvironment, Variables
from sender.rendering.text import CampaignText, TemplateSource

SUBJECT = "subject"
Forcing = tuple[str, frozenset[int]]
_EXTENDS = re.compile(r"\{%[-+]?\s*extends\b")
_CONTENT_BLOCK = re.compile(r"\{%[-+]?\s*block\s+content\b")
_PREHEADER_BLOCK = re.compile(r"\{%[-+]?\s*block\s+preheader\b")
_ANY_BLOCK = re.compile(r"\{%[-+]?\s*block\b")


@dataclass(frozen=True, slots=True)
class EmailTemplates:
    """The compiled templates of one e-mail; `text` is None where the HTML yields the text."""

    html: CompiledTemplate
    text: CompiledTemplate | None
    subject: CompiledTemplate


def compile_email(text: CampaignText, constants: Variables) -> EmailTemplates:
    """Compile all templates of an e-mail.

    Raises:
        TemplateError: one does not parse, with the line; or the HTML or the subject is missing.
    """
    return EmailTemplates(
        _compile_html(text, constants),
        compile_plain(text.text, constants) if text.text else None,
        compile_plain(subject_source(text), constants),
    )


def with_forced_branches(
    text: CampaignText, constants: Variables, natural: EmailTemplates
) -> Iterator[EmailTemplates]:
    """Yield the templates with their personal branches taken and left, one variant at a time."""
    if text.html is not None:
        for forced in _forcings(text.html):
            yield replace(natural, html=_compile_html(text, constants, forced))
    if text.text is not None:
        for forced in _forcings(text.text):
            yield replace(natural, text=compile_plain(text.text, constants, forced))


def plain_with_forced_branches(
    template: TemplateSource, constants: Variables
) -> Iterator[CompiledTemplate]:
    """Yield one plain template with its personal branches taken and left."""
    for forced in _forcings(template):
        yield compile_plain(template, constants, forced)


def _forcings(template: TemplateSource) -> Iterator[Forcing]:
    tree = LockedEnvironment({}, autoescape=False).parse(template.source, template.name)
    count = len(grammar.personal_branches(tree))
    singles = (frozenset({index}) for index in range(count))
    for taken in dict.fromkeys((frozenset[int](), frozenset(range(count)), *singles)):
        if count:
            yield template.name, taken


def _compile_html(
    text: CampaignText, constants: Variables, forced: Forcing | None = None
) -> CompiledTemplate:
    if text.html is None:
        raise TemplateError("an e-mail campaign needs an HTML template.", path=_nowhere(text))
    sources = {text.html.name: wrapped(text.html, text.layout, text.preheader)}
    if text.layout is not None:
        sources[text.layout.name] = text.layout.source
    environment = LockedEnvironment(sources, autoescape=True, constants=constants, forced=forced)
    if text.layout is not None:
        CompiledTemplate(environment, text.layout)
    return CompiledTemplate(environment, text.html)


def compile_plain(
    template: TemplateSource, constants: Variables, forced: Forcing | None = None
) -> CompiledTemplate:
    """Compile a plain text template.

    Raises:
        TemplateError: it does not parse, with the line.
    """
    environment = LockedEnvironment(
        {template.name: template.source}, autoescape=False, constants=constants, forced=forced
    )
    return CompiledTemplate(environment, template)


def subject_source(text: CampaignText) -> TemplateSource:
    """Return the subject line as a template.

    Raises:
        TemplateError: there is none, or it has more than one line.
    """
    subject = text.subject or ""
    if not subject.strip():
        raise TemplateError("is empty.", path=_nowhere(text), key=SUBJECT)
    if len(subject.splitlines()) > 1:
        raise TemplateError("has more than one line.", path=_nowhere(text), key=SUBJECT)
    return TemplateSource(SUBJECT, subject)


def wrapped(
    template: TemplateSource, layout: TemplateSource | None, preheader: str | None = None
) -> str:
    """Return the template's source inside its layout; line numbers stay.

    A preheader of the campaign file goes into the layout's block of that name, unless the template
    has one itself.

    Raises:
        TemplateError: it has blocks, but none that the layout shows as content.
    """
    source = template.source
    if preheader is not None and not _PREHEADER_BLOCK.search(source):
        source += "{% block preheader %}" + preheader + "{% endblock %}"
        if not _CONTENT_BLOCK.search(template.source) and not _EXTENDS.search(template.source):
            content = "{% block content %}" + template.source + "{% endblock %}"
            source = content + source[len(template.source) :]
    if layout is None or _EXTENDS.search(source):
        return source
    extends = '{% extends "' + layout.name + '" %}'
    if _CONTENT_BLOCK.search(source):
        return extends + source
    if found := _ANY_BLOCK.search(source):
        line = source.count("\n", 0, found.start()) + 1
        raise TemplateError(
            "has blocks, but no block named content.", path=template.path, line=line,
            remedy="Put the message between {% block content %} and {% endblock %}.",
        )  # fmt: skip
    return extends + "{% block content %}" + source + "{% endblock %}"


def _nowhere(text: CampaignText) -> Path:
    return Path(text.campaign_name)
