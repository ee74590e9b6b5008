"""The Toka event store in memory."""
