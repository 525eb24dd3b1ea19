"""The gene-token encoder: its recipe, its cells and its losses."""
