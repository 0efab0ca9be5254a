"""What the server does beside serving: it erases what is past its time, and sounds the alarm.

It also sends what asks people to confirm their sign-up. An installation that sends from a script
has no other process that is always there.
"""

import asyncio
from collections.abc import Callable
from dataclasses import astuple
from datetime import timedelta

from fastapi.concurrency import run_in_threadpool

from sender.alerts.notify import notify_operators
from sender.context import Context
from sender.inbound.retention import erase_all_expired
from sender.logs import place_of
from sender.signup.upkeep import keep_sign_ups
from sender.web.logs import LOG

ERASE_EVERY = timedelta(days=1)
LOOK_EVERY = timedelta(minutes=1)
SIGN_UPS_EVERY = timedelta(seconds=5)
"""Not in the request: its time would tell whether somebody is written to, and a slow provider must
not take the threads that opt-outs need."""


async def keep_house(context: Context) -> None:
    """Erase what is past its time, now and once a day; tell of alerts once a minute; ask people."""
    await asyncio.gather(_erase_daily(context), _tell_each_minute(context), _keep_sign_ups(context))


async def _erase_daily(context: Context) -> None:
    while True:
        erased = await _done("retention", lambda: erase_all_expired(context))
        if erased is not None:
            LOG.info("retention", erased=erased)
        await asyncio.sleep(ERASE_EVERY.total_seconds())


async def _tell_each_minute(context: Context) -> None:
    while True:
        await asyncio.sleep(LOOK_EVERY.total_seconds())
        told = await _done("alerts", lambda: notify_operators(context))
        if told:
            LOG.info("alerts", told=told)


async def _keep_sign_ups(context: Context) -> None:
    while True:
        await asyncio.sleep(SIGN_UPS_EVERY.total_seconds())
        done = await _done("sign_ups", lambda: sum(astuple(keep_sign_ups(context))))
        if done:
            LOG.info("sign_ups", done=done)


async def _done(what: str, work: Callable[[], int]) -> int | None:
    """Work in a thread; None for a failure, which is told by its type and ends nothing."""
    try:
        return await run_in_threadpool(work)
    except Exception as error:  # noqa: BLE001  # the next time is another try
        LOG.error(f"{what}_failed", error=type(error).__name__, at=place_of(error))
        return None
