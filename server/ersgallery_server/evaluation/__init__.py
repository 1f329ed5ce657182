"""Measure recognizability on labelled faces: the paper's protocols, and tables of what came out."""
