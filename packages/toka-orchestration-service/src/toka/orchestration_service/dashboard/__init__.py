"""The pages that people see and steer runs by.

Rendered on the server from the documented REST API and nothing else, kept live in the browser by
the same API; `add_dashboard` mounts them, `SignInLinks` lets a person in.
"""
