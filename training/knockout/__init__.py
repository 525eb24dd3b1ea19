"""Models that tell which gene is knocked out: data, both stages, figures."""
