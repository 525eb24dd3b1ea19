"""The page and its JSON API: a server on this machine, a picture of cells beside a conversation."""
