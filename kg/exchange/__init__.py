"""The graph in the formats of others, out and in."""
