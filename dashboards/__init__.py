"""What an operator loads: dashboards, rules, and what brings them up. Built from `source`."""
