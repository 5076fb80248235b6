"""
Check GPUs one level after the other, from the driver to the running container.

`sequence.run` judges facts and stops at the first check that fails; `collect` reads
them from this machine and its engine, and tests bring them along as files.
"""
