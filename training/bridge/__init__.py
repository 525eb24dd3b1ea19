"""The bridge from genes to terms: its training, its data, and how far it reaches."""
