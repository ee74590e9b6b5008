"""The Toka bus on NATS JetStream."""
