"""The HTTP face of Toka: REST, live events, health and metrics."""
