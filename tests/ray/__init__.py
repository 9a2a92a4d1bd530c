"""The engine over Ray Serve; what has ray not installed skips these."""
