"""Interrupts, and other threads' turns, at each point of a task where they can come.

Rule 1: a point is where the interpreter looks for signals and lets other threads go on: behind a
call, at the start of a function, when a loop goes round. Without a GIL, others go on anywhere.
Rule 2: a test goes through all of them, one run of the task for each.
"""

from __future__ import annotations

import dis
import sys
import threading
from typing import TYPE_CHECKING, Any

from tests.crew import Job

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, ModuleType

MOMENT = 0.02
"""Seconds that another thread gets to finish; one that has to wait for a lock doesn't."""


def _is_point(opcode: int) -> bool:
    name = dis.opname[opcode]
    return name.startswith("CALL") or name == "JUMP_BACKWARD"


def at_point(
    number: int,
    action: Callable[[], object],
    task: Callable[[], object],
    *modules: ModuleType,
    anywhere: bool = False,
) -> bool:
    """Run a task, and an action at one of its points; whether the task has as many.

    :param number: which point; the first is 0
    :param action: may raise, as an interrupt does
    :param modules: where the points are
    :param anywhere: whether every instruction is one
    """
    files = {module.__file__ for module in modules}
    behind: dict[FrameType, int] = {}
    seen = -1

    def at_instruction(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal seen
        if event == "opcode":
            before = behind.get(frame)
            behind[frame] = frame.f_code.co_code[frame.f_lasti]
            if anywhere or before is None or _is_point(before):
                seen += 1
                if seen == number:
                    action()
        return at_instruction

    def at_call(frame: FrameType, *_: Any) -> Any:
        if frame.f_code.co_filename not in files:
            return None
        # In this order: from 3.12 on, the second is for a frame that is traced already.
        frame.f_trace = at_instruction
        frame.f_trace_opcodes = True
        return at_instruction

    earlier = sys.gettrace()
    sys.settrace(at_call)
    try:
        task()
    finally:
        sys.settrace(earlier)
    return seen >= number


def interrupted(number: int, task: Callable[[], object], *modules: ModuleType) -> bool:
    """Run a task that is interrupted at one of its points; whether it has as many."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    try:
        return at_point(number, interrupt, task, *modules)
    except KeyboardInterrupt:
        return True


def meanwhile(
    number: int, other: Callable[[], object], task: Callable[[], object], *modules: ModuleType
) -> bool:
    """Run a task, and another in a thread that gets its turn at one point of the first.

    :returns: whether the first has as many points; by then both have ended
    """
    jobs: list[Job[object]] = []

    def turn() -> None:
        ended = threading.Event()

        def work() -> object:
            try:
                return other()
            finally:
                ended.set()

        jobs.append(Job(work))
        # If a lock keeps it from its work, it does that later, which is right.
        ended.wait(MOMENT)

    came = at_point(number, turn, task, *modules)
    for job in jobs:
        job.result()
    return came
