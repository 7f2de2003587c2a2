"""The one source of the dashboards and of Prometheus' rules.

- `thresholds`: every figure at which something is too much
- `queries`: the dashboards' PromQL
- `panels`: builders of panels, rows and whole dashboards
- `views`: the panels that both dashboards have
- `overview`, `pool`: the two dashboards
- `forms`: what of them is committed, to be provisioned or imported by hand
- `rules`: Prometheus' recording and alert rules

`python -m dashboards.source` writes all files; `--check` tells which are not what it would write.
Names of metrics, labels and label values come from `sleepwalker.observability.names`.
"""
