"""``python -m benchmarks.gpu``, or ``make gpu``: what counting costs on a GPU."""
