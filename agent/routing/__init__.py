"""From the words of a question to the tool that answers it."""
