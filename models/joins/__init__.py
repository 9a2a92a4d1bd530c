"""The joins that ship: one file each."""
