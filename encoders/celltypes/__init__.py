"""Cells named, ranked and told apart: markers, references, smoothing, calibration."""
