"""The commands of ``python -m train``, as functions: what they take, and where what they do lives.

A room is imported when its command runs, so that ``--help`` comes at once.
"""
