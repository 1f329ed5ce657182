"""Self-contained HTML pages with charts: they know layout, and nothing of what is reported."""
