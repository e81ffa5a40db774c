"""The network, its preprocessing, its rejection rule and the checkpoint folder that stores them."""
