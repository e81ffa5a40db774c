"""Data, training and evaluation: everything needed to create a checkpoint and measure it."""
