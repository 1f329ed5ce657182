"""The command groups about what is stored."""
