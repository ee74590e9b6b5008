"""Wire formats: what a conversation is in bytes. No I/O."""
