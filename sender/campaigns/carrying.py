"""Carry a confirmed run on, with the text that was pinned for it: by a worker, or at a tick.

Whether anybody may be written to is decided at each last look. What is kept here between calls is
what costs time to make: the opened provider and the compiled templates.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from sender.campaigns.accounts import counter_of, open_account, usable_capacity
from sender.campaigns.message import CampaignRenderer, make_renderer
from sender.campaigns.opening import adopt
from sender.campaigns.pinning import read_pinned
from sender.campaigns.resolve import ResolvedCampaign, resolve
from sender.campaigns.run_audience import audience_of_run
from sender.context import Context
from sender.delivery.audience import Audience
from sender.delivery.brake import alert_stopped, subject_of
from sender.delivery.dispatch import Dispatcher
from sender.delivery.left_alone import pause_if_left
from sender.delivery.pace import Pace
from sender.delivery.progress import Ending
from sender.delivery.quota import Quota
from sender.delivery.restored import require_reconciled
from sender.delivery.runs import get_run, move
from sender.errors import ProviderError, SenderError, SettingsError
from sender.providers.base import Provider
from sender.store.alert_book import ACCOUNT_UNUSABLE, raise_alert
from sender.store.campaigns import CampaignVersion, Run
from sender.suppression.links import opt_out_links
from sender.toml.source import FileErrors
from sender.vocabulary import Priority, RunState

_MOST_KEPT: Final = 16
_KEPT_FOR: Final = timedelta(minutes=5)
"""What an account allows, and what a controller says of itself, is asked anew after this."""


_ACCOUNT_PAUSE: Final = timedelta(minutes=1)
_LONGEST_REASON: Final = 500


@dataclass(slots=True)
class _Kit:
    """What one version of one run is sent with."""

    provider: Provider
    renderer: CampaignRenderer
    audience: Audience
    pace: Pace
    quota: Quota
    opt_out_url: Callable[[int], str]
    version_id: int
    controller_version_id: int
    made_at: datetime
    users: int = 0
    retired: bool = False


@dataclass(slots=True)
class Carrier:
    """Carries runs on. Safe to use from several threads at once; close it at the end.

    Attributes:
        context: the installation.
        worker_id: the worker that this belongs to; None at a scheduler's tick.
    """

    context: Context
    worker_id: int | None = None
    _kits: OrderedDict[tuple[int, int, int], _Kit] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def carry_on(
        self,
        run_id: int,
        *,
        until: datetime | None = None,
        stopping: Callable[[], bool] = lambda: False,
        patience: timedelta = timedelta(0),
    ) -> Ending:
        """Send what may be sent of a run now, beside whoever else does.

        Args:
            run_id: a run that was confirmed.
            until: when to hand it on; None: go on until there is nothing to do.
            stopping: whether this process is to stop.
            patience: how long to wait for people who may not be written to yet.

        A run that was left alone for too long is paused (see `left_alone`). Where its account
        cannot be used the run waits a minute, and an alert says so; where what its file names is
        not there any more, it stops.

        Raises:
            RefusedError: the run may not be sent (now).
        """
        if pause_if_left(self.context.store, self.context.clock, run_id):
            return Ending.PAUSED
        try:
            kit = self._take(run_id)
        except (ProviderError, SettingsError) as error:
            return self._wait_for_account(run_id, error)
        except FileErrors as error:
            return self._stop(run_id, error)
        try:
            return Dispatcher(
                store=self.context.store,
                hasher=self.context.hasher,
                clock=self.context.clock,
                provider=kit.provider,
                renderer=kit.renderer,
                opt_out_url=kit.opt_out_url,
                run_id=run_id,
                version_id=kit.version_id,
                controller_version_id=kit.controller_version_id,
                operator=self.context.operator,
                pace=kit.pace,
                by_hand=False,
                audience=kit.audience,
                quota=kit.quota,
                worker_id=self.worker_id,
                until=until,
                patience=patience,
                stopping=stopping,
            ).run()
        finally:
            self._give_back(kit)

    def close(self) -> None:
        """Close every provider that is not in use; those in use close when they are given back."""
        with self._lock:
            kits = list(self._kits.values())
            self._kits.clear()
            for kit in kits:
                _retire(kit)

    def _wait_for_account(self, run_id: int, error: SenderError) -> Ending:
        now = self.context.clock.now()
        details = {"run": run_id, "because": error.problem, "remedy": error.remedy}
        with self.context.store.write() as session:
            run = get_run(session, run_id, lock=True)
            run.deferred_until = now + _ACCOUNT_PAUSE
            subject = subject_of(session, run)
            raise_alert(session, ACCOUNT_UNUSABLE, subject, now=now, details=details)
        return Ending.WAITING

    def _stop(self, run_id: int, error: SenderError) -> Ending:
        now, why = self.context.clock.now(), str(error)[:_LONGEST_REASON]
        with self.context.store.write() as session:
            run = get_run(session, run_id, lock=True)
            if run.state in {RunState.READY, RunState.RUNNING}:
                move(session, run, RunState.STOPPED, now=now, operator="sender", because=why)
                alert_stopped(session, run, why, now)
        return Ending.STOPPED

    def _take(self, run_id: int) -> _Kit:
        now = self.context.clock.now()
        with self.context.store.read() as session:
            run = get_run(session, run_id)
            key = (run_id, run.version_id, run.controller_version_id)
        with self._lock:
            kit = self._kits.get(key)
            if kit is not None and now - kit.made_at < _KEPT_FOR:
                kit.users += 1
                self._kits.move_to_end(key)
                return kit
        made = self._make(run_id, now)
        with self._lock:
            before = self._kits.pop(key, None)
            self._kits[key] = made
            made.users = 1
            if before is not None:
                _retire(before)
            while len(self._kits) > _MOST_KEPT:
                _retire(self._kits.popitem(last=False)[1])
        return made

    def _give_back(self, kit: _Kit) -> None:
        with self._lock:
            kit.users -= 1
            if kit.retired and kit.users == 0:
                kit.provider.close()

    def _make(self, run_id: int, now: datetime) -> _Kit:
        context = self.context
        links = opt_out_links(context.settings)
        with context.store.write() as session:
            run = get_run(session, run_id, lock=True)
            campaign = resolve(session, read_pinned(_version(session, run)))
            require_reconciled(session, run)
            adopt(session, run, campaign)
        provider = open_account(campaign.account, context)
        try:
            capacity = usable_capacity(campaign.account, provider)
            return _Kit(
                provider=provider,
                renderer=make_renderer(campaign),
                audience=audience_of_run(run, campaign.definition),
                pace=pace_of(context, campaign, run, capacity.rate_per_second),
                quota=Quota(
                    context.store,
                    context.clock,
                    campaign.account.id,
                    counter_of(provider, capacity),
                ),
                opt_out_url=links.of_run(run.link_salt),
                version_id=run.version_id,
                controller_version_id=campaign.own.version.id,
                made_at=now,
            )
        except BaseException:
            provider.close()
            raise


def pace_of(context: Context, campaign: ResolvedCampaign, run: Run, rate_per_second: float) -> Pace:
    """Return the pace of the run's account, with the run's share in it."""
    return Pace(
        context.store,
        context.clock,
        f"account:{campaign.account.id}",
        rate_per_second,
        run_id=run.id,
        weight=run.weight or 1,
        urgent=run.priority is Priority.URGENT,
    )


def _version(session: Session, run: Run) -> CampaignVersion:
    return session.get_one(CampaignVersion, run.version_id)


def _retire(kit: _Kit) -> None:
    kit.retired = True
    if kit.users == 0:
        kit.provider.close()
