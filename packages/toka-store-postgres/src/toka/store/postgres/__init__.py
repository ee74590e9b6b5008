"""The Toka event store on PostgreSQL."""
