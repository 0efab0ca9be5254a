"""Why one message is not sent."""

from enum import StrEnum

from sender.errors import SenderError
from sender.vocabulary import Reason


class Rule(StrEnum):
    """The rules of the rendered check; docs/templates.md explains each and its remedy."""

    UNDEFINED = "undefined"
    RENDER_FAILED = "render-failed"
    VALUE_NOT_TEXT = "value-not-text"
    VALUE_TOO_LONG = "value-too-long"
    OUTPUT_TOO_LONG = "output-too-long"
    HEADER = "header"
    OPT_OUT_URL = "opt-out-url"

    SUBJECT_EMPTY = "subject-empty"
    BRACES = "braces"
    PRIVATE_USE = "private-use"
    ELEMENT = "element"
    ATTRIBUTE = "attribute"
    STYLE = "style"
    CONDITIONAL_COMMENT = "conditional-comment"
    LINK_TARGET = "link-target"
    VALUE_PLACE = "value-place"

    IDENTITY_MISSING = "identity-missing"
    IDENTITY_HIDDEN = "identity-hidden"
    IMPRINT_MISSING = "imprint-missing"
    IMPRINT_HIDDEN = "imprint-hidden"
    SOURCE_MISSING = "source-missing"
    OPT_OUT_MISSING = "opt-out-missing"
    OPT_OUT_HIDDEN = "opt-out-hidden"
    OPT_OUT_UNCLEAR = "opt-out-unclear"
    OPT_OUT_COUNTERFEIT = "opt-out-counterfeit"
    TEXT_IDENTITY = "text-identity"
    TEXT_IMPRINT = "text-imprint"
    TEXT_SOURCE = "text-source"
    TEXT_OPT_OUT = "text-opt-out"

    SMS_NAME = "sms-name"
    SMS_OPT_OUT = "sms-opt-out"
    SMS_EMPTY = "sms-empty"
    SMS_TOO_LONG = "sms-too-long"
    SMS_TOO_MANY_SEGMENTS = "sms-too-many-segments"

    KIND_MARKETING = "kind-marketing"
    RESEARCH_LINK = "research-link"


class MessageRefused(SenderError):  # noqa: N818 - an outcome of one message, not a fault
    """One message is not sent; others of the campaign may be.

    Attributes:
        reason: what the delivery records: RENDERING, RENDERED_CHECK or TOO_MANY_SEGMENTS.
        rule: the rule that was broken; `code` is its text.
    """

    def __init__(self, reason: Reason, rule: Rule, problem: str, *, remedy: str = "") -> None:
        super().__init__(problem, remedy=remedy)
        self.reason = reason
        self.rule = rule

    @property
    def code(self) -> str:
        """The rule's code, as docs/templates.md lists it."""
        return self.rule.value


def broken(rule: Rule, problem: str, *, remedy: str = "") -> MessageRefused:
    """Return the refusal of a message that fails the rendered check."""
    return MessageRefused(Reason.RENDERED_CHECK, rule, problem, remedy=remedy)


def unrendered(rule: Rule, problem: str, *, remedy: str = "") -> MessageRefused:
    """Return the refusal of a message that could not be rendered."""
    return MessageRefused(Reason.RENDERING, rule, problem, remedy=remedy)
