"""Launch a campaign from a script: refuse a plan that is larger than expected, then report.

    .venv/bin/python scripts/send_campaign.py spring.toml --at-most 5000

The installation comes from the environment (SENDER_DATABASE_URL, SENDER_HASH_KEY, …); run
`sender doctor` to see whether it can work.
"""

import argparse
import sys
from pathlib import Path

from sender.api import LaunchPlan, SenderError, launch_campaign, load_campaign, open_context


def main() -> int:
    """Launch the campaign and print what became of everybody."""
    parser = argparse.ArgumentParser(description="Launch a campaign and report.")
    parser.add_argument("file", type=Path, help="the campaign file")
    parser.add_argument("--at-most", type=int, default=1_000, help="refuse more people than this")
    arguments = parser.parse_args()

    def approve(plan: LaunchPlan) -> bool:
        print(f"{plan.recipients:,} people; {plan.refused.total():,} refused")
        return plan.recipients <= int(arguments.at_most)

    try:
        definition = load_campaign(arguments.file)
        with open_context() as context:
            report = launch_campaign(context, definition, approve=approve)
    except SenderError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"run {report.run_id} is {report.state}")
    for state, people in sorted(report.counts.by_state.items()):
        print(f"  {state.value:12} {people:8,}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
