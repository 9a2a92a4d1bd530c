"""What made the weights: data readers, recipes, a resumable loop, evaluation, and the export to `models/weights`."""
