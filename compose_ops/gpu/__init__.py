"""
Check GPUs rung by rung, from the driver to the running container.

`ladder.climb` judges facts and stops at the first rung that fails; `bench` collects
them from this machine, and tests bring them along as files.
"""
