"""The two forms of each dashboard that are committed.

- `grafana/NAME.json` is to be provisioned: Grafana reads it from a folder, and its variable takes
  the default data source.
- `grafana/import/NAME.json` is to be imported by hand: Grafana asks for the data source first. All
  else is the same.
"""

from __future__ import annotations

import json
from typing import Any, Final

from dashboards.source import overview, pool

GRAFANA: Final = "11.6.0"
"""The oldest Grafana that these are made for: that of the SDK's line."""

_INPUT: Final = "DS_PROMETHEUS"


def files() -> dict[str, str]:
    """Give the text of each file, by its path below `dashboards/`."""
    made = {}
    for board in (overview.build(), pool.build()):
        made[f"grafana/{board['uid']}.json"] = _text(board)
        made[f"grafana/import/{board['uid']}.json"] = _text(_to_import(board))
    return made


def _to_import(board: dict[str, Any]) -> dict[str, Any]:
    """The same, with what Grafana's import page asks for."""
    source, *variables = board["templating"]["list"]
    # The page puts the data source that was chosen in the place of this.
    chosen = f"${{{_INPUT}}}"
    source = source | {"current": {"selected": True, "text": chosen, "value": chosen}}
    return board | {
        "__elements": {},
        "__inputs": [
            {
                "name": _INPUT,
                "label": "Prometheus",
                "description": "The Prometheus that scrapes the services",
                "type": "datasource",
                "pluginId": "prometheus",
                "pluginName": "Prometheus",
            }
        ],
        "__requires": [
            {"type": "grafana", "id": "grafana", "name": "Grafana", "version": GRAFANA},
            {
                "type": "datasource",
                "id": "prometheus",
                "name": "Prometheus",
                "version": "1.0.0",
            },
            *(
                {"type": "panel", "id": kind, "name": kind, "version": ""}
                for kind in sorted({panel["type"] for panel in board["panels"]} - {"row"})
            ),
        ],
        "templating": board["templating"] | {"list": [source, *variables]},
    }


def _text(board: dict[str, Any]) -> str:
    return json.dumps(board, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
