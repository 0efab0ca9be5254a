"""What the server does beside serving: once a day, words and events past their time are erased."""

import asyncio
from datetime import timedelta

from fastapi.concurrency import run_in_threadpool

from sender.context import Context
from sender.inbound.retention import erase_all_expired
from sender.logs import place_of
from sender.web.logs import LOG

EVERY = timedelta(days=1)


async def keep_house(context: Context) -> None:
    """Erase what is past its time, now and once a day; never end for a failure."""
    while True:
        try:
            erased = await run_in_threadpool(erase_all_expired, context)
        except Exception as error:  # noqa: BLE001  # told by type; tomorrow is another day
            LOG.error("retention_failed", error=type(error).__name__, at=place_of(error))
        else:
            LOG.info("retention", erased=erased)
        await asyncio.sleep(EVERY.total_seconds())
