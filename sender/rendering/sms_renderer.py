"""Renders the text messages of one campaign version."""

import re
from collections.abc import Iterable
from functools import lru_cache, partial
from pathlib import Path

from sender.errors import TemplateError
from sender.rendering.check import refuse_braces
from sender.rendering.email_renderer import granted, is_opt_out_url
from sender.rendering.environment import CompiledTemplate
from sender.rendering.holes import Pieces, cut_plain
from sender.rendering.lint import Shape
from sender.rendering.message import RenderedSms, hash_parts
from sender.rendering.profile import Recipient, SenderProfile, SmsIdentity
from sender.rendering.refusal import MessageRefused, Rule, broken
from sender.rendering.segments import SegmentCount, SmsEncoding, count_segments, not_gsm
from sender.rendering.shortcut import Skeleton
from sender.rendering.templates import compile_plain, plain_with_forced_branches
from sender.rendering.text import CampaignText
from sender.rendering.trial import TemplateReport, try_out
from sender.rendering.values import OPT_OUT_HOLE, SOURCE_HOLE, one_line
from sender.rendering.variables import run_variables, variables_for
from sender.rendering.wording import names_way_out, plain_line, says, words
from sender.vocabulary import OptOutStyle, Reason

LONGEST_BODY = 1600
"""UTF-16 units; Twilio refuses more characters with error 21617."""
MOST_SKELETONS = 256

_NUMBER = re.compile(r"\+[1-9]\d{6,14}|\d{3,8}|MG[0-9a-f]{32}")
_RECIPIENT = re.compile(r"\+[1-9]\d{6,14}")
_ALPHANUMERIC = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}")
_REPLY = re.compile(r"(?<!not )(?<!n't )(?<!n\u2019t )(?<!never )\b(?:reply|text|send|txt) stop\b")
_STOP_ELSEWHERE = re.compile(r"stop(?<!\wstop) (?:to\W*\d|(?:and|with|plus|then)\b)")
_ADDRESS = re.compile(r"https?://|www\.|\S@\S|\b[a-z0-9-]+\.(?:[a-z]{2,10})/\S")
_SIGNS_OF_AN_ADDRESS = ("/", "@", "www.")
"""Whatever `_ADDRESS` finds has one of these."""
_ENDINGS = {
    OptOutStyle.REPLY: "Reply STOP to opt out",
    OptOutStyle.LINK: f"Opt out: {OPT_OUT_HOLE}",
    OptOutStyle.BOTH: f"Reply STOP or opt out: {OPT_OUT_HOLE}",
}


class SmsRenderer:
    """Renders one campaign version for one recipient after another; pure and thread-safe."""

    def __init__(
        self,
        text: CampaignText,
        profile: SenderProfile,
        identity: SmsIdentity,
        *,
        max_segments: int,
    ) -> None:
        """Compile the template.

        Args:
            text: the pinned text.
            profile: the controller as the message shows it.
            identity: sender, the name to be said and the style of the way out.
            max_segments: refuse longer messages, >= 1.

        Raises:
            TemplateError: the template does not parse, or there is none.
            MessageRefused: the sender is malformed, or cannot receive the STOP it asks for.
        """
        if text.sms is None:
            raise TemplateError("an SMS campaign needs a template.", path=Path(text.campaign_name))
        check_sms_identity(identity)
        self._source = text.sms
        self._profile, self._identity, self._max_segments = profile, identity, max_segments
        self._run = run_variables(profile, text, sender_name=identity.display_name)
        self._template = compile_plain(text.sms, self._run)
        self._certify = lru_cache(MOST_SKELETONS)(self._judge)

    def render(self, recipient: Recipient) -> RenderedSms:
        """Return the checked message.

        Raises:
            MessageRefused: it cannot be rendered, fails the check or is too long; without
                personal data.
        """
        return self._render(self._template, recipient)

    def check(self, shapes: Iterable[Shape]) -> TemplateReport:
        """Try the template on every shape of the audience, before anybody is written to.

        Args:
            shapes: the sets of fields that have a value, each kind of recipient once.
        """
        variants = plain_with_forced_branches(self._source, self._run)
        renders = [partial(self._render, template) for template in variants]
        natural = partial(self._render, self._template)
        return try_out(
            [self._source], frozenset(shapes), natural, renders, self._source.path, sms=True
        )

    def _render(self, template: CompiledTemplate, recipient: Recipient) -> RenderedSms:
        self._check_recipient(recipient)
        skeleton, values = template.render(variables_for(recipient, self._run))
        source = recipient.third_party_source
        pieces = granted(self._certify(skeleton, source is not None))
        body = pieces.fill(values, recipient.opt_out_url, one_line(source or ""))
        refuse_braces(body)
        self._refuse_counterfeit(body, recipient.opt_out_url)
        return self._message(recipient, body, self._size(body))

    def _check_recipient(self, recipient: Recipient) -> None:
        if not _RECIPIENT.fullmatch(recipient.address):
            raise broken(Rule.HEADER, "The recipient's number is not in E.164 form.")
        if self._with_link and not is_opt_out_url(recipient.opt_out_url):
            raise broken(Rule.OPT_OUT_URL, "The opt-out link is not a plain https address.")

    @property
    def _with_link(self) -> bool:
        return self._identity.opt_out_style is not OptOutStyle.REPLY

    @property
    def _with_reply(self) -> bool:
        return self._identity.opt_out_style is not OptOutStyle.LINK

    def _judge(self, skeleton: Skeleton, with_source: bool) -> Pieces | MessageRefused:  # noqa: FBT001 - part of the cache's key
        body = self._with_way_out("".join(skeleton).strip())
        try:
            self._check_body(body, with_source=with_source)
        except MessageRefused as refusal:
            return refusal
        return cut_plain(body)

    def _with_way_out(self, body: str) -> str:
        """Append the way out where the template does not hold it (guidance ¶51)."""
        return body if self._has_way_out(body) else f"{body} {self._ending}".strip()

    @property
    def _ending(self) -> str:
        return _ENDINGS[self._identity.opt_out_style]

    def _has_way_out(self, body: str) -> bool:
        by_reply = _REPLY.search(plain_line(body)) is not None
        by_link = OPT_OUT_HOLE in body and names_way_out(body)
        return (by_reply or not self._with_reply) and (by_link or not self._with_link)

    def _check_body(self, body: str, *, with_source: bool) -> None:
        said = words(body.removesuffix(self._ending))
        if not said.strip():
            raise broken(Rule.SMS_EMPTY, "The message is empty.")
        names = [self._identity.display_name, *(b.name for b in self._profile.on_behalf_of)]
        if not all(says(said, name) for name in names):
            raise broken(
                Rule.SMS_NAME, "The message does not name everybody it comes from.",
                remedy="Write {{ sender_name }}, and each body of controller.on_behalf_of.",
            )  # fmt: skip
        if with_source and not says(said, SOURCE_HOLE):
            raise broken(
                Rule.SOURCE_MISSING, "The first message does not say where the number came from.",
                remedy="Where third_party_source is defined, show it.",
            )  # fmt: skip
        self._check_way_out(body)

    def _check_way_out(self, body: str) -> None:
        if not self._has_way_out(body):
            raise broken(Rule.SMS_OPT_OUT, "The message does not say the way out.")

    def _refuse_counterfeit(self, body: str, opt_out_url: str) -> None:
        line = plain_line(body.replace(opt_out_url, " "))
        if _STOP_ELSEWHERE.search(line):
            raise _counterfeit("STOP is to be sent somewhere else, or with more.")
        if not self._with_reply and _REPLY.search(line):
            raise _counterfeit("This sender cannot receive the STOP that it asks for.")
        if not any(sign in line for sign in _SIGNS_OF_AN_ADDRESS):
            return
        if names_way_out(line) and _ADDRESS.search(line) and not self._names_own(body, opt_out_url):
            raise _counterfeit("Another address than this person's own is given for opting out.")

    def _names_own(self, body: str, opt_out_url: str) -> bool:
        """Whether no sentence speaks of opting out and gives another address than their own."""
        sentences = re.split(r"(?<=[.!?])\s|\n", body)
        return not any(
            names_way_out(sentence)
            and opt_out_url not in sentence
            and _ADDRESS.search(sentence.lower())
            for sentence in sentences
        )

    def _size(self, body: str) -> SegmentCount:
        if len(body.encode("utf-16-le")) > 2 * LONGEST_BODY:
            raise broken(Rule.SMS_TOO_LONG, f"The message has over {LONGEST_BODY} characters.")
        segments = count_segments(body)
        if segments.parts > self._max_segments:
            raise MessageRefused(
                Reason.TOO_MANY_SEGMENTS,
                Rule.SMS_TOO_MANY_SEGMENTS,
                f"The message has {segments.parts} parts ({segments.encoding}); at most "
                f"{self._max_segments} are allowed.",
                remedy="Shorten it, or raise max_segments.",
            )
        return segments

    def _message(self, recipient: Recipient, body: str, segments: SegmentCount) -> RenderedSms:
        sender = self._identity.sender
        return RenderedSms(
            recipient.address,
            sender,
            body,
            segments,
            recipient.opt_out_url if recipient.opt_out_url in body else None,
            hash_parts(("sms", recipient.address, sender, body)),
            _alphabet_warning(body, segments),
        )


def check_sms_identity(identity: SmsIdentity) -> None:
    """Refuse a sender that is malformed or whose way out would lead nowhere.

    Raises:
        MessageRefused: rule SMS_OPT_OUT or HEADER.
    """
    if not words(identity.display_name).strip():
        raise broken(Rule.SMS_NAME, "The sender has no name to say.")
    if _NUMBER.fullmatch(identity.sender):
        return
    if not _ALPHANUMERIC.fullmatch(identity.sender):
        raise broken(Rule.HEADER, "The sender is no number, name or messaging service.")
    if identity.opt_out_style is not OptOutStyle.LINK:
        raise broken(
            Rule.SMS_OPT_OUT,
            "An alphanumeric sender cannot receive STOP.",
            remedy='Set its opt_out_style to "link".',
        )


def _counterfeit(problem: str) -> MessageRefused:
    return broken(Rule.OPT_OUT_COUNTERFEIT, problem, remedy="Leave the way out to the sender.")


def _alphabet_warning(body: str, segments: SegmentCount) -> tuple[str, ...]:
    if segments.encoding is SmsEncoding.GSM_7:
        return ()
    count = len(not_gsm(body))
    return (f"{count} different characters outside GSM 03.38 make a part 67 characters long.",)
