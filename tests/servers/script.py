"""Which answer comes next.

Rule: an answer is used once, in order; one that acts before a request is read has its chance when
that stage is reached, and a request that was read always gets an answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from tests.servers.actions import Action, Answer, Handler, Stage, in_turn


class Script:
    """A queue of answers, and the default for when it is used up. Its server's lock guards it."""

    def __init__(self, *, tls: bool) -> None:
        """Begin empty; without TLS, answers that act in its handshake are refused."""
        self._tls = tls
        self._queue: deque[Action | Handler] = deque()

    def checked(self, answer: Answer) -> Action | Handler:
        """Give the answer in the form that `take` gives it in.

        Raises:
            ValueError: its steps are in an impossible order, or it acts in a TLS handshake that
                there is none of.
        """
        checked = in_turn(answer) if isinstance(answer, Action | Sequence) else answer
        if not self._tls and _stage(checked) is Stage.HANDSHAKE:
            raise ValueError(f"{checked!r}: this server has no TLS")
        return checked

    def extend(self, answers: Sequence[Action | Handler]) -> None:
        """Add checked answers."""
        self._queue.extend(answers)

    def take(self, stage: Stage, default: Action | Handler) -> Action | Handler | None:
        """Take the next answer if it begins at this stage.

        A request that was read must be answered, and takes the next answer that still can be given.
        """
        if stage is Stage.READ:
            for answer in self._queue:
                if _stage(answer) is stage:
                    self._queue.remove(answer)
                    return answer
            return default
        if self._queue:
            return self._queue.popleft() if _stage(self._queue[0]) is stage else None
        return default if _stage(default) is stage else None

    def __len__(self) -> int:
        """Count the answers left."""
        return len(self._queue)


def _stage(answer: Action | Handler) -> Stage:
    return answer.steps[0].stage if isinstance(answer, Action) else Stage.READ
