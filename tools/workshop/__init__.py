"""What keeps the workspace in order: its set-up, its lock, its versions, its wheels, its benchmark.

Standard library only, so that each program runs before anything is installed.
"""
