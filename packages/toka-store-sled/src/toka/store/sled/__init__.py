"""The Toka event store on LevelDB, or on RocksDB where LevelDB has no wheel."""
