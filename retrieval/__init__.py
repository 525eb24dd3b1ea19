"""Passages and graph facts that bear on a question."""
