"""The kinds of question, by family: each finds the facts that answer it, with their evidence."""
