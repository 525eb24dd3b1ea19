"""Sources read into terms and typed edges, with their release: a reader each."""
