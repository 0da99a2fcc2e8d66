"""Settings for every test."""

from hypothesis import settings

# A slow machine is no failure; how long a test may take at all is pytest-timeout's business.
settings.register_profile("offload", deadline=None)
settings.load_profile("offload")
