"""Peers that can't stand beside us in one process, each in an environment of its own.

    peers.py         who they are, and what makes their subjects; runs there
    environments.py  builds the environments
    worker.py        the program that runs there: measures blocks when it is told to
    remote.py        the subject here that tells it to

Rules:

1. What measures there is what measures here, `benchmarks.measuring`, and they take their turn
   within the rounds like everybody else.
2. Whose environment can't be built is left out, and why is told with the results.
3. What runs there imports nothing but the standard library, the peer, and modules of the benchmarks
   that do the same.
"""
