"""Measure recognition and retrieval: arrays in, figures out."""
