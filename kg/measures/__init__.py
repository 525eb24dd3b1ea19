"""How alike two terms or genes are: information content, shared ancestors, walks."""
