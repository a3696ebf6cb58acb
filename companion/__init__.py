"""What reproduces the paper: its networks, data, runs and claims, and the book made from them.

Built on :mod:`thermo_utils`, which does not need it.
"""
