"""The quick looks before the costly ones miss nothing."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from sender.rendering.wording import WAY_OUT, has_braces, is_counterfeit_paragraph, plain_line

BRACES = re.compile(r"\{\{|\}\}|\{%|%\}|\{#|#\}")
ADDRESS = re.compile(r"https?://|mailto:|www\.|\S@\S")
WORDS = st.lists(
    st.one_of(
        st.sampled_from([
            "unsubscribe", "Opt Out", "remove me", "HTTPS://x.org/a", "http://x", "mailto:", "a@b",
            "@", "a @b", "www.", "WWW.x.org", "://", "\u2126@\u2126", "\u0130@x", "ﬁ@ﬀ", "\n", " ",
            "{", "}", "{{", "%}", "{#", "#}", "{%", "}}", "%", "#",
        ]),
        st.text(max_size=5),
    ),
    max_size=8,
)  # fmt: skip
JOINTS = st.sampled_from(["", " "])


@given(WORDS, JOINTS)
@example(["opt out", "WWW.x.org"], " ")
@example(["unsubscribe", "a@b"], " ")
def test_a_counterfeit_paragraph_is_found_as_by_looking_for_both(
    words: list[str], joint: str
) -> None:
    paragraph = joint.join(words)
    both = WAY_OUT.search(plain_line(paragraph)) and ADDRESS.search(paragraph.lower())
    assert is_counterfeit_paragraph(paragraph, "https://out.org/u/1") == bool(both)


@given(WORDS, JOINTS)
@example(["{", "{"], "")
@example(["#", "}"], "")
def test_braces_of_a_template_are_found_wherever_they_are(words: list[str], joint: str) -> None:
    text = joint.join(words)
    assert has_braces(text) == bool(BRACES.search(text))
