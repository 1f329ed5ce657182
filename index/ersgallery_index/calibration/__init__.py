"""Calibrate: UI centroids, gamma and tau from faces; arrays in, results out."""
