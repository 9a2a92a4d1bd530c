"""Tests of the subcommands that measure and describe weights."""
