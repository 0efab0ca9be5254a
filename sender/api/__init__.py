"""The Python API for scripts: what the commands do, typed.

```python
from sender.api import launch_campaign, load_campaign, open_context

with open_context() as context:
    report = launch_campaign(context, load_campaign(Path("spring.toml")))
```

Everything here raises `SenderError` and its kinds, which say what is wrong and what to do.
"""

from sender.api.campaigns import launch_campaign, resume_run
from sender.campaigns.amend import Amendment, amend
from sender.campaigns.approval import Review, look_over_for_approval
from sender.campaigns.check import CheckReport, check
from sender.campaigns.definition import CampaignDefinition, load_campaign
from sender.campaigns.explain import Explanation, explain
from sender.campaigns.launch import Launch, prepare_launch, prepare_resume
from sender.campaigns.plan import LaunchPlan
from sender.campaigns.preview import Preview, preview
from sender.campaigns.report import RunReport, report_run
from sender.campaigns.schedule_desk import (
    Approval,
    add_schedule,
    look_over,
    pause_schedule,
    remove_schedule,
    resume_schedule,
)
from sender.campaigns.schedule_listing import ScheduleLine, list_schedules
from sender.campaigns.scheduling import TickReport, tick
from sender.campaigns.test_send import send_test
from sender.context import Context, set_up_database
from sender.delivery.progress import Ending
from sender.delivery.runs import cancel, pause
from sender.errors import SenderError
from sender.imports.contacts import import_contacts
from sender.imports.opt_outs import import_opt_outs
from sender.operators.authentication import open_as_operator as open_context

__all__ = [
    "Amendment",
    "Approval",
    "CampaignDefinition",
    "CheckReport",
    "Context",
    "Ending",
    "Explanation",
    "Launch",
    "LaunchPlan",
    "Preview",
    "Review",
    "RunReport",
    "ScheduleLine",
    "SenderError",
    "TickReport",
    "add_schedule",
    "amend",
    "cancel",
    "check",
    "explain",
    "import_contacts",
    "import_opt_outs",
    "launch_campaign",
    "list_schedules",
    "load_campaign",
    "look_over",
    "look_over_for_approval",
    "open_context",
    "pause",
    "pause_schedule",
    "prepare_launch",
    "prepare_resume",
    "preview",
    "remove_schedule",
    "report_run",
    "resume_run",
    "resume_schedule",
    "send_test",
    "set_up_database",
    "tick",
]
