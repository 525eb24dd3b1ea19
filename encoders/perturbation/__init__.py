"""What a perturbation does to expression: a screen, models of it, and which of them to trust."""
