"""How the graph lies in its file and in a server, and how it gets there."""
