"""From a photograph to an answer, for people and for programs."""

import os

# OpenBLAS reads it when NumPy is imported. Its threads would spin for a while after each small product, on
# cores that the network needs: 50 ms of processor time a picture instead of 1.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
