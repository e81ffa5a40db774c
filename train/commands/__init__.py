"""The commands of ``python -m train``, as functions that call the packages of ``train``.

A package is imported only when its command runs, so that ``--help`` is fast.
"""
