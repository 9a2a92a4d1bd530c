"""The subcommands of `carlens` that train and measure, one file each."""
