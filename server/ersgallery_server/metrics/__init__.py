"""What the server tells of itself to Prometheus: read from the parts' own counts whenever somebody asks."""
