"""Data, training, evaluation: everything that makes a checkpoint and measures it."""
