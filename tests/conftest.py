"""Settings for every test."""

from hypothesis import settings

# A slow machine is no failure; how long a test may take at all is pytest-timeout's business. The same examples are
# drawn each time, so that what was green stays green; `--hypothesis-profile=explore` draws new ones and more of them.
settings.register_profile("offload", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("offload")
