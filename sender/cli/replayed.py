"""What a replay of the journal did, for people and for scripts."""

from sender.cli.common import counted
from sender.cli.output import Facts, Listing, Output
from sender.delivery.replay import Replayed


def show_replay(output: Output, done: Replayed, *, dry_run: bool) -> None:
    """Show what was lacking and what became of it."""
    lacking = done.lacking
    lost = [
        {"controller": run.controller, "campaign": run.campaign, "messages": messages}
        for run, messages in done.sent.lost.items()
    ]
    document = {
        "dry_run": dry_run,
        "journals": done.journals,
        "noes": lacking.noes,
        "releases": lacking.releases,
        "messages": lacking.messages,
        "damaged_lines": lacking.damaged,
        "overtaken": done.overtaken,
        "releases_left_out": done.releases_left_out,
        "erased_again": done.erased_again,
        "unknown": done.sent.unknown,
        "held_runs": done.held_runs,
        "lost_runs": lost,
    }
    facts = Facts(
        [
            ("Journals", done.journals),
            ("Noes that were lacking", lacking.noes),
            ("Releases that were lacking", lacking.releases),
            ("Messages that were lacking", lacking.messages),
            ("Damaged lines", lacking.damaged or None),
            ("Overtaken by something newer", done.overtaken or None),
            ("Releases without evidence, left out", done.releases_left_out or None),
            ("Addresses erased again", done.erased_again or None),
            ("Deliveries now unknown", done.sent.unknown or None),
            ("Runs held", ", ".join(map(str, done.held_runs))),
        ]
    )
    output.show(document, facts, _verdict(done, dry_run=dry_run), *_lost(lost))
    if lost:
        output.note(
            "This database knows nothing of these runs. Whoever they wrote to is left out when "
            "the campaign is launched again."
        )
    if done.held_runs:
        output.note(
            f"Carry on with: sender campaign resume {done.held_runs[0]}. A run that goes out "
            "through Twilio needs first: sender reconcile"
        )


def _verdict(done: Replayed, *, dry_run: bool) -> str:
    if not done.lacking.is_behind:
        return "The database lacks nothing of its journals."
    if dry_run:
        return "Nothing was changed."
    return f"The database has what its {counted(done.journals, 'journal')} held."


def _lost(lost: list[dict[str, object]]) -> list[Listing]:
    if not lost:
        return []
    rows = [list(one.values()) for one in lost]
    return [Listing(["Controller", "Campaign", "Messages"], rows, title="Runs that are lost")]
