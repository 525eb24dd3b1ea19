"""What the agent is measured on, and the demonstration."""
