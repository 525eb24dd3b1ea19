"""Which gene is knocked out: expression and images in one prompt of a language model."""
