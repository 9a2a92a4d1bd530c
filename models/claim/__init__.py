"""What several photos of one claim tell together: pure functions over the answers to each photo."""
