"""The built-in predictors: one file each, registered by the same entry points as anybody's."""
