"""The worker's own log: runs, duties and counts, never a person."""

from typing import Final

from sender.logs import own_log

LOG: Final = own_log("sender.worker")
