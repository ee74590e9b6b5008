"""What most applications need on top of Raft: state machines around the application's own.

Nothing in here belongs to the protocol, and nothing in the protocol knows of it. Each layer is a
deterministic function of the committed entries: no clock, no randomness, no setting that could
differ between replicas without being part of the state.
"""
