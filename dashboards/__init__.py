"""What does Grafana show?  The chart's dashboards, described here and written as JSON by ``python -m dashboards``."""
