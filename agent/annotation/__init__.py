"""Annotation of datasets: passes over the cells, answers with their evidence, reports."""
