"""Question in, cited answer out: routing, verification, writing; the command line."""
