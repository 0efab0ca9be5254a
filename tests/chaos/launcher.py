"""`sender` in a process of its own that can kill itself at a chosen call, as a power cut would.

CHAOS_KILL: `module:function:number:before` or `:after`: at which call of which function to die.
CHAOS_SMALL: how many people a planning range and a batch of staged rows hold.
"""

import os
import signal
import sys
from importlib import import_module
from itertools import count
from typing import Any

from sender.cli.app import main


def arm(point: str) -> None:
    """Let the process die at this point."""
    module, path, number, moment = point.split(":")
    owner: Any = import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    inner, calls = getattr(owner, name), count(1)

    def watched(*arguments: Any, **named: Any) -> Any:
        last = next(calls) == int(number)
        if last and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = inner(*arguments, **named)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, watched)


def make_small(people: int) -> None:
    """Plan and stage in small steps, so that there are several."""
    import_module("sender.delivery.planning").RANGE_SIZE = people  # type: ignore[attr-defined]  # a module's constant
    import_module("sender.delivery.source").stage_recipients.__kwdefaults__["batch_size"] = people


if __name__ == "__main__":
    # A shell that runs tests in the background lets its children ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if "CHAOS_SMALL" in os.environ:
        make_small(int(os.environ["CHAOS_SMALL"]))
    if "CHAOS_KILL" in os.environ:
        arm(os.environ["CHAOS_KILL"])
    sys.argv[0] = "sender"
    main()
