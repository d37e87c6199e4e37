"""What it takes to run microex: images, manifests, rules, dashboards."""
