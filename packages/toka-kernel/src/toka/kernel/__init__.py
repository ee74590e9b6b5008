"""The deterministic state machine of Toka: decide and evolve, no clock, no I/O, no randomness."""
