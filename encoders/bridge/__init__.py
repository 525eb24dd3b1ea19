"""What a gene may be linked to: links, features of nodes, neighbours, the trained bridge."""
