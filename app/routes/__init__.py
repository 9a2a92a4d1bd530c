"""The calls of the API, one file per kind; those of predictors are made from the registry."""
