"""How `hypothesis` searches here: the same examples in every run, so that no test fails now and then."""

from hypothesis import settings

settings.register_profile("same", derandomize=True, database=None, deadline=None, max_examples=100)
settings.load_profile("same")
