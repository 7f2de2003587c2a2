"""A stampede is one: all threads ask at the same moment, and the hook's calls are counted."""

from __future__ import annotations

from benchmarks.stampedes import HOOK, run


def test_one_key_is_one_call_and_many_are_many_side_by_side() -> None:
    one, many = run(["one"] * 16), run([f"number {key}" for key in range(16)])

    assert (one.calls, many.calls) == (1, 16)
    assert one.seconds >= HOOK
    assert HOOK <= many.seconds < 16 * HOOK
