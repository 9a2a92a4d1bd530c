"""What names of photos end in."""

SUFFIXES = {
    ".jpg",
    ".jpeg",
    ".jpe",
    ".mpo",
    ".png",
    ".webp",
    ".gif",
    ".bmp",
    ".tif",
    ".tiff",
    ".avif",
    ".heic",
    ".heif",
}
"""What is taken from a folder; a file that is named is always tried."""
