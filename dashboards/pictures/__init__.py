"""The pictures of the docs: what the dashboards and a trace show of one run of the demo.

- `plan`: which pictures there are, what each shows, and what its panels ask
- `run`: the demo, a Prometheus that scrapes it, and a collector that takes its spans
- `waterfall`: the one trace that is drawn, chosen from all, as rows
- `tables`: what stands in a table
- `words`: figures with their units, as Grafana writes them
- `canvas`, `panels`, `trace`: the drawing

Rules:

1. What is drawn was measured: each panel asks Prometheus its own queries, as committed, and where
   there is nothing to show it says "No data".
2. Where things stand is taken from the dashboards. Each row of theirs is in a picture.
3. Only the drawing needs matplotlib, which only the extra `pictures` brings. The Prometheus and the
   collector are those of the tests.

`python -m dashboards.pictures` makes all of them anew, in some two minutes.
"""
