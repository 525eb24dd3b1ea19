"""Where files come from and how an .h5ad is read."""
