"""SQLite databases that somebody else may have made, asked for somebody who may say anything.

The program never opens them. A worker process does, which is kept to the database: a file that is
cut short under it ends the worker, and what a journal names is out of its reach.
"""
