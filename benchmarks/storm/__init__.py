"""A retry storm: what clients do to a server that fails, and what that does to them.

    subjects.py     the ways of retrying that are compared
    events.py       time that is simulated: a clock, and what happens when
    server.py       the server of the simulation: workers behind a queue
    client.py       one process of the simulation, and its calls
    scenarios.py    an outage, failures of a tenth, a stall; what is told of each

Rules:

1. The quota, breaker, limiter and the decision to retry are the library's own objects, driven as a
   connection drives them. What is simulated is time, the server, and the callers.
2. A seed decides everything: arrivals, service times and jitter come from streams of their own, so
   that every subject meets the same callers.
3. The model is told, with what it is sensitive to; nothing in it was chosen for a figure.
"""
