"""Decides which agents run, when and where: specs, dependencies, workstreams and supervision."""
