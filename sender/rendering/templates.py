"""The templates of one campaign, compiled: wrapped in their layout where they do not extend it."""

import re
from pathlib import Path

from sender.errors import TemplateError
from sender.rendering.environment import CompiledTemplate, LockedEnvironment
from sender.rendering.text import CampaignText, TemplateSource

SUBJECT = "subject"
_EXTENDS = re.compile(r"\{%[-+]?\s*extends\b")
_CONTENT_BLOCK = re.compile(r"\{%[-+]?\s*block\s+content\b")
_ANY_BLOCK = re.compile(r"\{%[-+]?\s*block\b")


def compile_html(text: CampaignText) -> CompiledTemplate:
    """Compile the HTML template with its layout.

    Raises:
        TemplateError: one of the two does not parse, with the line; or there is none.
    """
    if text.html is None:
        raise TemplateError("an e-mail campaign needs an HTML template.", path=_nowhere(text))
    sources = {text.html.name: wrapped(text.html, text.layout)}
    if text.layout is not None:
        sources[text.layout.name] = text.layout.source
    environment = LockedEnvironment(sources, autoescape=True)
    if text.layout is not None:
        CompiledTemplate(environment, text.layout)
    return CompiledTemplate(environment, text.html)


def compile_plain(template: TemplateSource) -> CompiledTemplate:
    """Compile a plain text template.

    Raises:
        TemplateError: it does not parse, with the line.
    """
    return CompiledTemplate(
        LockedEnvironment({template.name: template.source}, autoescape=False), template
    )


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


def wrapped(template: TemplateSource, layout: TemplateSource | None) -> str:
    """Return the template's source inside its layout; line numbers stay.

    Raises:
        TemplateError: it has blocks, but none that the layout shows as content.
    """
    source = template.source
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
