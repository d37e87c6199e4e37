"""The dashboards as code; build.py writes what Grafana reads."""
