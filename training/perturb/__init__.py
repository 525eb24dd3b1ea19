"""GEARS trained on a perturbation screen."""
