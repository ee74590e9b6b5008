"""HTTP to addresses that were checked."""
