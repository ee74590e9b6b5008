"""SQLite databases that somebody else may have made, opened for somebody who may say anything."""
