"""The fault matrix: what becomes of every kind of request under every fault, beside other clients.

- `catalogue`: the faults
- `table`: what each must lead to, as data
- `scene`, `names`: the world that one request meets: servers, proxies, name resolution
- `kinds`: the kinds of requests, and how an answer is known as one's own
- `clients`: ours, `requests` and `httpx`, as people set them up
- `running`: runs cells, and finds what is wrong with them
- `verdict`: compares ours with the table
- `page`: writes `docs/fault-matrix.md` of a run: `python -m tests.faults`
"""
