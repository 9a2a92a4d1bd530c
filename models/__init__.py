"""The predictors and all they need to answer: photos, weights, networks, backends. Imports no `app`, no `training`."""
