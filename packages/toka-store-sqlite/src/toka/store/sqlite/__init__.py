"""The Toka event store on SQLite."""
