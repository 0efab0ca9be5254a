"""The Python API for scripts: what the commands do, typed, and with the roles that they take.

```python
from sender.api import launch_campaign, load_campaign, open_context

with open_context() as context:
    report = launch_campaign(context, load_campaign(Path("spring.toml")))
```

Everything here raises `SenderError` and its kinds, which say what is wrong and what to do.
"""

from sender.api.campaigns import (
    amend,
    cancel,
    check,
    explain,
    launch_campaign,
    look_over_for_approval,
    pause,
    prepare_launch,
    prepare_resume,
    preview,
    preview_amendment,
    report_run,
    resume_run,
    send_test,
)
from sender.api.evidence import (
    DecisionAt,
    campaign_decisions_at,
    decision_at,
    evidence_document,
    evidence_of_run,
    evidence_on,
    evidence_page,
)
from sender.api.imports import (
    approve_batch,
    import_contacts,
    import_opt_outs,
    look_at_batch,
    revoke_batch,
)
from sender.api.schedules import (
    add_schedule,
    list_schedules,
    look_over,
    pause_schedule,
    remove_schedule,
    resume_schedule,
    tick,
)
from sender.campaigns.amend import Amendment
from sender.campaigns.approval import Review
from sender.campaigns.check import CheckReport
from sender.campaigns.definition import CampaignDefinition, load_campaign
from sender.campaigns.explain import Explanation
from sender.campaigns.launch import Launch
from sender.campaigns.plan import LaunchPlan
from sender.campaigns.preview import Preview
from sender.campaigns.report import RunReport
from sender.campaigns.schedule_desk import Approval
from sender.campaigns.schedule_listing import ScheduleLine
from sender.campaigns.scheduling import TickReport
from sender.consent.history import Subject
from sender.context import Context, set_up_database
from sender.delivery.progress import Ending
from sender.errors import SenderError
from sender.evidence.counts import RunEvidence
from sender.evidence.records import Evidence
from sender.imports.approval import BatchView
from sender.imports.counts import ImportReport
from sender.operators.authentication import open_as_operator as open_context

__all__ = [
    "Amendment",
    "Approval",
    "BatchView",
    "CampaignDefinition",
    "CheckReport",
    "Context",
    "DecisionAt",
    "Ending",
    "Evidence",
    "Explanation",
    "ImportReport",
    "Launch",
    "LaunchPlan",
    "Preview",
    "Review",
    "RunEvidence",
    "RunReport",
    "ScheduleLine",
    "SenderError",
    "Subject",
    "TickReport",
    "add_schedule",
    "amend",
    "approve_batch",
    "campaign_decisions_at",
    "cancel",
    "check",
    "decision_at",
    "evidence_document",
    "evidence_of_run",
    "evidence_on",
    "evidence_page",
    "explain",
    "import_contacts",
    "import_opt_outs",
    "launch_campaign",
    "list_schedules",
    "load_campaign",
    "look_at_batch",
    "look_over",
    "look_over_for_approval",
    "open_context",
    "pause",
    "pause_schedule",
    "prepare_launch",
    "prepare_resume",
    "preview",
    "preview_amendment",
    "remove_schedule",
    "report_run",
    "resume_run",
    "resume_schedule",
    "revoke_batch",
    "send_test",
    "set_up_database",
    "tick",
]
