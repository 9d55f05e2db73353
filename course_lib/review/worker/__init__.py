"""What runs in the separate process: it imports the reviewed file, tries things, and writes down what happened.

It judges nothing. `__main__` reads its job, JSON, from `job.json` in the working directory.
"""
