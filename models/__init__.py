"""The predictors and all they need to answer: photos, weights, networks, backends. Knows neither `app` nor `training`."""
