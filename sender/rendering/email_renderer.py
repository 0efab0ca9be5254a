"""Renders the e-mails of one campaign version.

Everything costly (inlining styles, the text part, the check) is done once for each distinct
skeleton and remembered as a certificate; filling it in for one more person takes microseconds.
A refused skeleton is remembered too.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TypeVar

from sender.rendering.check import (
    Link,
    Wanted,
    check_html,
    check_text,
    has_brace,
    refuse_braces,
    refuse_counterfeits,
    refuse_plain,
)
from sender.rendering.environment import CompiledTemplate, Variables
from sender.rendering.holes import Pieces, cut_markup, cut_plain
from sender.rendering.lint import Shape
from sender.rendering.markup import prepare
from sender.rendering.message import RenderedEmail, hash_parts
from sender.rendering.plaintext import to_plain_text
from sender.rendering.profile import EmailIdentity, Recipient, SenderProfile
from sender.rendering.refusal import MessageRefused, Rule, broken
from sender.rendering.shortcut import Skeleton
from sender.rendering.templates import (
    EmailTemplates,
    compile_email,
    subject_source,
    with_forced_branches,
)
from sender.rendering.text import CampaignText, TemplateSource
from sender.rendering.trial import TemplateReport, try_out
from sender.rendering.values import OPT_OUT_HOLE, SOURCE_HOLE, VALUE_HOLE, one_line
from sender.rendering.variables import run_variables, variables_for

GMAIL_CUT_BYTES = 102 * 1024
LONGEST_HEADER = 995
"""Characters; the limit of Amazon SES v2 for the value of an extra header."""
LONGEST_SUBJECT = 250
MOST_SKELETONS = 256
_MOST_BYTES_A_CHARACTER = 4

_Verdict = TypeVar("_Verdict")
_OPT_OUT_URL = re.compile(r"https://[A-Za-z0-9.-]+(?::\d{1,5})?/[A-Za-z0-9._~/?=&%-]+")
_LIST_ID = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_FEEDBACK_ID = re.compile(r"(?:[A-Za-z0-9._-]*:){1,3}[A-Za-z0-9._-]{5,15}")
_ADDRESS = re.compile(r"[^\s<>,;:\"()\x00-\x1f\x7f]+@[^\s<>,;:\"()\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class _OpenLink:
    """A link whose text depends on values, so that each message is looked at again."""

    text: Pieces
    surroundings: Pieces
    beside_real_one: bool

    def filled(self, values: list[str]) -> Link:
        return Link(
            self.text.fill(values, "", ""), self.surroundings.fill(values, "", ""),
            self.beside_real_one,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Certificate:
    """A skeleton that passed the check."""

    html: Pieces
    text: Pieces
    open_links: tuple[_OpenLink, ...]
    has_brace: bool


class EmailRenderer:
    """Renders one campaign version for one recipient after another; pure and thread-safe."""

    def __init__(
        self,
        text: CampaignText,
        profile: SenderProfile,
        identity: EmailIdentity,
        *,
        list_id: str,
        feedback_id: str | None = None,
    ) -> None:
        """Compile the templates.

        Args:
            text: the pinned text.
            profile: the controller as the message shows it.
            identity: From and Reply-To.
            list_id: RFC 2919 identifier without brackets, e.g. `news.leeds.example.org`.
            feedback_id: up to four fields with colons, the last (5 to 15 characters) naming the
                sender (Gmail's feedback loop).

        Raises:
            TemplateError: a template does not parse.
            MessageRefused: the identity or a header cannot be written into a header.
        """
        self._source, self._profile, self._identity = text, profile, identity
        self._sender = (identity.from_address, identity.from_name, identity.reply_to)
        self._fixed_headers = _fixed_headers(identity, list_id, feedback_id)
        self._fixed_parts = tuple(part for header in self._fixed_headers for part in header)
        self._run = run_variables(profile, text, sender_name=identity.from_name)
        self._templates = compile_email(text, self._run)
        self._certify_html = lru_cache(MOST_SKELETONS)(self._judge_html)
        self._certify_text = lru_cache(MOST_SKELETONS)(self._judge_text)
        self._cut_subject = lru_cache(MOST_SKELETONS)(_cut_subject)

    def render(self, recipient: Recipient) -> RenderedEmail:
        """Return the checked message.

        Raises:
            MessageRefused: it cannot be rendered or fails the check; without personal data.
        """
        return self._render(self._templates, recipient)

    def check(self, shapes: Iterable[Shape]) -> TemplateReport:
        """Try the templates on every shape of the audience, before anybody is written to.

        Args:
            shapes: the sets of fields that have a value, each kind of recipient once.
        """
        kinds = frozenset(shapes)
        named = [t for t in (self._source.html, self._source.text) if t is not None]
        if self._source.layout is not None:
            named.append(self._source.layout)
        named.append(subject_source(self._source))
        if self._source.preheader is not None:
            named.append(TemplateSource("preheader", self._source.preheader))
        variants = with_forced_branches(self._source, self._run, self._templates)
        path = self._templates.html.path
        renders = [partial(self._render, templates) for templates in variants]
        return try_out(named, kinds, partial(self._render, self._templates), renders, path)

    def _render(self, templates: EmailTemplates, recipient: Recipient) -> RenderedEmail:
        _check_recipient(recipient)
        variables = variables_for(recipient, self._run)
        source = None if recipient.third_party_source is None else one_line(
            recipient.third_party_source
        )  # fmt: skip
        html, text = self._parts(templates, variables, recipient.opt_out_url, source)
        subject = self._subject_line(templates.subject, variables)
        return self._message(recipient, subject, html, text)

    def check_fully(self, html: str, text: str, recipient: Recipient) -> None:
        """Check a finished message from scratch, without any certificate.

        Raises:
            MessageRefused: with the rule that is broken.
        """
        wanted = Wanted(self._profile, recipient.opt_out_url, recipient.third_party_source)
        check_html(prepare(html), wanted)
        check_text(text, wanted)
        if self._source.text is None:
            refuse_braces(text)
        else:
            refuse_plain(text, recipient.opt_out_url)

    def _parts(
        self, templates: EmailTemplates, variables: Variables, opt_out_url: str, source: str | None
    ) -> tuple[str, str]:
        skeleton, values = templates.html.render(variables)
        certificate = granted(self._certify_html(skeleton, source is not None))
        _check_values(certificate, values)
        html = certificate.html.fill(values, opt_out_url, source or "")
        if certificate.has_brace or _have_brace(values):
            check_html(prepare(html), Wanted(self._profile, opt_out_url, source))
        if templates.text is None:
            text = certificate.text.fill(values, opt_out_url, source or "")
            refuse_braces(text)
            return html, text
        return html, self._own_text(templates.text, variables, opt_out_url, source)

    def _own_text(
        self, template: CompiledTemplate, variables: Variables, opt_out_url: str, source: str | None
    ) -> str:
        skeleton, values = template.render(variables)
        pieces = granted(self._certify_text(skeleton, source is not None))
        text = pieces.fill(values, opt_out_url, source or "")
        refuse_plain(text, opt_out_url)
        return text

    def _judge_html(self, skeleton: Skeleton, with_source: bool) -> "_Certificate | MessageRefused":  # noqa: FBT001 - part of the cache's key
        try:
            return self._certificate("".join(skeleton), self._wanted(with_source=with_source))
        except MessageRefused as refusal:
            return refusal

    def _judge_text(self, skeleton: Skeleton, with_source: bool) -> "Pieces | MessageRefused":  # noqa: FBT001 - part of the cache's key
        text = "".join(skeleton)
        try:
            check_text(text, self._wanted(with_source=with_source))
        except MessageRefused as refusal:
            return refusal
        return cut_plain(text)

    def _wanted(self, *, with_source: bool) -> Wanted:
        return Wanted(self._profile, OPT_OUT_HOLE, SOURCE_HOLE if with_source else None)

    def _certificate(self, skeleton: str, wanted: Wanted) -> _Certificate:
        markup = prepare(skeleton)
        links = check_html(markup, wanted)
        text = to_plain_text(markup.tree)
        if self._source.text is None:
            check_text(text, wanted)
        open_links = (link for link in links if VALUE_HOLE.search(link.text + link.surroundings))
        return _Certificate(
            cut_markup(markup.html),
            cut_plain(text),
            tuple(_open(link) for link in open_links),
            has_brace=has_brace(markup.tree),
        )

    def _subject_line(self, template: CompiledTemplate, variables: Variables) -> str:
        skeleton, values = template.render(variables)
        subject = one_line(self._cut_subject(skeleton).fill(values, "", ""))
        if not subject:
            raise broken(Rule.SUBJECT_EMPTY, "The subject is empty.")
        refuse_braces(subject)
        if len(subject) > LONGEST_SUBJECT:
            raise broken(Rule.HEADER, f"The subject has over {LONGEST_SUBJECT} characters.")
        return subject

    def _message(self, to: Recipient, subject: str, html: str, text: str) -> RenderedEmail:
        sender, unsubscribe = self._sender, ("List-Unsubscribe", f"<{to.opt_out_url}>")
        parts = (
            "email", to.address, *sender, subject, html, text, *unsubscribe, *self._fixed_parts,
        )  # fmt: skip
        return RenderedEmail(
            to.address, *sender, subject, html, text, (unsubscribe, *self._fixed_headers),
            to.opt_out_url, hash_parts(parts), _size_warning(html),
        )  # fmt: skip


def _cut_subject(skeleton: Skeleton) -> Pieces:
    return cut_plain("".join(skeleton))


def _open(link: Link) -> _OpenLink:
    return _OpenLink(cut_plain(link.text), cut_plain(link.surroundings), link.beside_real_one)


def granted(verdict: _Verdict | MessageRefused) -> _Verdict:
    """Return a remembered verdict, or raise it where it is a refusal."""
    if isinstance(verdict, MessageRefused):
        raise verdict.with_traceback(None)
    return verdict


def _check_values(certificate: _Certificate, values: list[str]) -> None:
    if certificate.open_links:
        refuse_counterfeits(tuple(link.filled(values) for link in certificate.open_links))


def _have_brace(values: list[str]) -> bool:
    return any("{" in value or "}" in value for value in values)


def _size_warning(html: str) -> tuple[str, ...]:
    if len(html) * _MOST_BYTES_A_CHARACTER <= GMAIL_CUT_BYTES:
        return ()
    size = len(html.encode())
    if size <= GMAIL_CUT_BYTES:
        return ()
    return (f"The HTML has {size // 1024} KB; Gmail cuts it at 102 KB, footer and opt-out first.",)


def is_opt_out_url(url: str) -> bool:
    """Whether a personal link is a plain https address that fits into a header."""
    return len(url) <= LONGEST_HEADER - 2 and _OPT_OUT_URL.fullmatch(url) is not None


def _check_recipient(recipient: Recipient) -> None:
    if not is_opt_out_url(recipient.opt_out_url):
        raise broken(
            Rule.OPT_OUT_URL, "The opt-out link is not a plain https address.",
            remedy="Set SENDER_PUBLIC_URL to the https address of the opt-out pages.",
        )  # fmt: skip
    if not _ADDRESS.fullmatch(recipient.address):
        raise broken(Rule.HEADER, "The recipient's address cannot be written into a header.")


def _fixed_headers(
    identity: EmailIdentity, list_id: str, feedback_id: str | None
) -> tuple[tuple[str, str], ...]:
    """Return the headers that are the same for everybody (RFC 8058, RFC 2919)."""
    addresses = [identity.from_address, *([identity.reply_to] if identity.reply_to else [])]
    if not all(_ADDRESS.fullmatch(address) for address in addresses):
        raise broken(Rule.HEADER, "From or Reply-To is not a plain address.")
    if not identity.from_name.strip() or one_line(identity.from_name) != identity.from_name:
        raise broken(Rule.HEADER, "The From name is empty or holds control characters.")
    if not _LIST_ID.fullmatch(list_id) or len(list_id) > LONGEST_HEADER - 2:
        raise broken(Rule.HEADER, "The List-Id is not made of labels and dots (RFC 2919).")
    headers = [
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("List-Id", f"<{list_id}>"),
    ]
    if feedback_id is not None:
        if not _FEEDBACK_ID.fullmatch(feedback_id) or len(feedback_id) > LONGEST_HEADER:
            raise broken(Rule.HEADER, "The Feedback-ID is not up to four fields with colons.")
        headers.append(("Feedback-ID", feedback_id))
    return tuple(headers)
