"""Readers: one file per layout of labels; each gives plain records and reads photos from a zip or a folder."""
