"""Labelled images, and a vision transformer that learns from images alone."""
