"""Cases of opt-outs that were ignored, or checked once and not again."""

from tests.support.case import Case, supporter


def test_royal_mail_2022_the_reminder_was_not_checked_again(case: Case) -> None:
    """£20,000. The first message respected opt-outs; the second step of the campaign did not."""
    case.brings_in(supporter("ann"), supporter("bo"))
    case.signs()
    assert case.launches(case.campaign()) == {"accepted": 2}
    case.desk.done(
        "suppress", "add", "bo@example.org", "-c", "riverside", "--reason", "letter",
        "--received-on", "2026-11-20",
    )  # fmt: skip
    reminder = case.campaign("<p>A reminder: the meeting is on Saturday.</p>")
    assert case.launches(reminder) == {"accepted": 1, "objected": 1}


def test_outsource_strategies_2024_their_own_list_was_ignored(case: Case) -> None:
    """The company kept a list of people who wanted no calls, and called them."""
    case.brings_in(supporter("ann"))
    case.signs()
    case.desk.done("consent", "withdraw", "ann@example.org", "-c", "riverside", "--all")
    assert case.launches(case.campaign()) == {"objected": 1}
    assert case.messages() == []
