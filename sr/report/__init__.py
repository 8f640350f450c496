"""The paper's objective tables as this project measures them: what `python -m sr evaluate --report` writes.

One file each for the tables, the plane of distortion and perception, the contact sheets and the times; `write` puts
them together.
"""
