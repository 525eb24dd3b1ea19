"""Every figure, beside its baselines: one module a suite, and what they share."""
