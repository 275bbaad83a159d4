"""The Grafana dashboards and how they are made."""
