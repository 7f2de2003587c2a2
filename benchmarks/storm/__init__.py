"""A retry storm: what clients do to a server that fails, and what that does to them.

    subjects.py       the ways of retrying that are compared
    events.py         time that is simulated: a clock, and what happens when
    server.py         the server of the simulation: workers behind a queue
    client.py         one process of the simulation, and its calls
    scenarios.py      an outage, failures of a tenth, a stall; what is told of each
    budgets.py        the design's budgets, and what was measured of them
    sensitivity.py    the stall again, with one assumption changed at a time
    plot.py           load and goodput over time, as a picture
    sockets.py        the same in small, over real sockets
    socket_server.py  the server of that

The model: callers come as a Poisson process that takes no notice of how the server fares. It works
on what has queued, first come, first served, whether or not anybody waits for it. That, and what is
retried, keeps an outage going when its cause is gone (N. Bronson and others, "Metastable failures
in distributed systems", HotOS 2021). What is assumed of sizes and times is in `scenarios.World`;
`docs/retry-storm.md` says why.

Rules:

1. The quota, breaker, limiter and the decision to retry are the library's own objects, driven as a
   connection drives them. What is simulated is time, the server, and the callers.
2. A seed decides everything: arrivals, service times and jitter come from streams of their own, so
   that every subject meets the same callers.
3. What the figures are sensitive to is told with them.
"""
