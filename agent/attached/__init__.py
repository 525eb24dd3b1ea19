"""Cells that a question is about: which are meant, what was measured of them, in what words."""
