"""Several models as one, and one model for many callers."""
