"""Alignment, instruction tuning and the evaluation of every figure."""
