"""Sets of photos that are too large for one go: listed, cut into shards, answered, and kept as Parquet."""
