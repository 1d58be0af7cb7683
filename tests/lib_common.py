"""How the property tests of lib/ run: with any load of the machine, leaving nothing."""

from hypothesis import HealthCheck, settings

#: ``@for_all`` beside Hypothesis' ``@given``.
for_all = settings(
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
