"""Tests of Sleepwalker: folders mirror the package, `servers` is what they talk to."""
