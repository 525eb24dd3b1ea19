"""Pictures: paths, neighbours, dots of cells, predicted changes."""
