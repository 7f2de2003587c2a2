"""`sleepwalker demo`: the library's main job, against hosts that misbehave, with proof.

Three HTTPS hosts of books, authors and reviews are started on loopback. They link to each other
and misbehave on a script. A workload of several threads follows the links with one
`ServiceManager`, over one `ConnectionManager`. Some links should not be followed, and lead to a
host that nobody should reach. At the end, what the hosts counted is held against what the client
counted.

- `planted`: the secrets that must not turn up where they don't belong
- `faults`: the script of misbehaviour
- `ledger`: what a host counts, on its own
- `apis`: what the hosts answer; `hosts`: the sockets that they answer on; `timetable`: when they
  restart
- `client`: hooks, credentials and policy; `workload`: the threads; `tours`: what one of them does,
  to follow all links there are
- `ratings`: beside all that, a host that is away for long, and who asks it
- `watch`, `logs`, `traces`, `metrics`: what the client's instruments saw; `meeting`: where it meets
  what the hosts read
- `otlp`: the way of spans and metrics to a collector, with `--otlp`
- `proof`: pure functions from the counts to the promises that were kept or broken
- `scene`, `live`, `plain`: what is shown meanwhile; `tree`, `summary`: and at the end
- `run`: all of it in order
"""

__all__: list[str] = []
