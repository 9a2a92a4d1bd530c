"""The gateway: one HTTP service in front of pluggable predictors. Never imports torch."""
