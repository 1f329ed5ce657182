"""Make a recognizability profile from one's own faces: sources, degraded views, profile file and report."""
