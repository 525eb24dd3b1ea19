"""Text, cells, images and graph nodes to vectors and soft tokens; the language model."""
