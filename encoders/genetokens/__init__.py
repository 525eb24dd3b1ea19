"""Cells read gene by gene: tokens, what is known of genes, and the encoder."""
