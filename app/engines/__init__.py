"""Engines that run predictors elsewhere than in this process."""
