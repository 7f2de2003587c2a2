"""The program in a peer's environment: makes the subject, and measures blocks of it when told to.

Its arguments are the name of the peer and the line of a target. It first tells how the subject is
called; then it answers each line of its standard input with one of JSON: what a call gave for
``null``, the cost of a block for a number of operations. It ends when its input does.
"""

from __future__ import annotations

import json
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

# This package from beside us, whoever else has its name; and nothing else from there, where our own
# `sleepwalker` is.
sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from benchmarks.apart.peers import PEERS
from benchmarks.measuring import block, only_new_garbage
from benchmarks.target import Target

del sys.path[0]


def main() -> None:
    """Measure until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's, who then ends
    with ExitStack() as stack:
        subject = PEERS[sys.argv[1]].make(Target.of_line(sys.argv[2]), stack)
        stack.enter_context(only_new_garbage())
        _tell({"batch": subject.batch, "warmup": subject.warmup})
        for line in sys.stdin:
            operations = json.loads(line)
            _tell(subject.call() if operations is None else block(subject, operations))


def _tell(what: object) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
