"""The protocols: each makes tables from one corpus under one profile."""
