"""Conversations: turns remembered, follow-ups read in their light."""
