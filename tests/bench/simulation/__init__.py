"""A service that is not there: discrete events instead of photos, by the batcher's own policy and measured times."""
