"""Every method side by side in one run: times, memory, and how both grow.

``python -m benchmarks`` measures; the page *Speed* of the book shows what it wrote.
"""
