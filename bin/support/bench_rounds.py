"""Rounds through several targets in turn, so that noise hits all of them; figures."""

import statistics
from collections import Counter

from . import odoo_log
from .bench import table
from .say import fail, say

WARM_UP = 100  # requests of each client to each target before anything is measured
SETTINGS = ("server_version", "synchronous_commit", "fsync")
HEADINGS = (
    *("target", "req/s", "rounds", "p50 ms", "p95 ms", "errors"),
    *("server CPU ms", "client CPU ms"),
)


def arguments(parser):
    parser.add_argument(
        "--seconds", type=float, default=4, help="of one target in one round (4)"
    )
    parser.add_argument("--rounds", type=int, default=6, help="through all (6)")
    parser.add_argument("--clients", type=int, default=4, help="at the same time (4)")


def check(options):
    if min(options.seconds, options.rounds, options.clients) <= 0:
        fail("--seconds, --rounds and --clients must be more than 0.")


class Rounds:
    """The rounds, and what came out of them."""

    def __init__(self, server, clients, targets, options):
        self.server = server
        self.software = {
            "odoo": server.ground.odoo_version,
            **{name: self.query(f"show {name}")[0] for name in SETTINGS},
        }
        self.clients, self.targets, self.options = clients, targets, options
        self.sent = dict.fromkeys((target.name for target in targets), 0)
        self.rounds = {target.name: [] for target in targets}
        self.warm_up = {}

    def query(self, query):
        return self.server.ground.postgres.query(query, self.server.database)

    def measure(self):
        for target in self.targets:
            self.warm_up[target.name] = self._phase(target, WARM_UP, 60)
        for number in range(self.options.rounds):
            say(f"round {number + 1} of {self.options.rounds}")
            for target in self.targets:
                # Twice what the warm-up promises; a phase that runs out ends early.
                rate = self.warm_up[target.name].per_second
                each = 2 * rate * self.options.seconds / self.options.clients
                phase = self._phase(target, int(each) + WARM_UP, self.options.seconds)
                self.rounds[target.name].append(phase)

    def _phase(self, target, each, seconds):
        first = self.sent[target.name] + 1
        self.sent[target.name] += each * self.options.clients
        self.prepare(target, first, self.sent[target.name])
        cpu = self.server.cpu_seconds()
        phase = self.clients.run(target, first, each, seconds)
        phase.server_cpu = self.server.cpu_seconds() - cpu
        if not phase.latencies:
            fail(f"{target.path} accepts nothing: {sorted(set(phase.errors))}.")
        return phase

    def prepare(self, target, first, last):
        """What a target needs before requests of these numbers are sent to it."""

    def all_phases(self, name):
        return [self.warm_up[name], *self.rounds[name]]

    def accepted(self, name):
        """Numbers of the requests that were answered well."""
        return {n for phase in self.all_phases(name) for n in phase.accepted}

    # --- figures

    def rate(self, name):
        """Requests a second over all rounds."""
        phases = self.rounds[name]
        time = sum(phase.end - phase.start for phase in phases)
        return sum(len(phase.latencies) for phase in phases) / time

    def ratios(self, name, other):
        """How many times as fast as another target, in each round."""
        pairs = zip(self.rounds[name], self.rounds[other], strict=True)
        return [mine.per_second / other.per_second for mine, other in pairs]

    def percentile(self, name, percent):
        """Milliseconds within which so many of the requests were answered."""
        found = sorted(x for phase in self.rounds[name] for x in phase.latencies)
        return found[min(len(found) - 1, len(found) * percent // 100)] * 1000

    def errors(self, name):
        return Counter(x for phase in self.all_phases(name) for x in phase.errors)

    def cpu_ms(self, name, whose):
        """Processor time of one request, in milliseconds."""
        phases = self.rounds[name]
        count = sum(len(phase.latencies) + len(phase.errors) for phase in phases)
        return sum(getattr(phase, whose) for phase in phases) / count * 1000

    def show(self, labels, compared):
        """Print the table, and how targets compare.

        :param dict labels: what to call the targets
        :param compared: pairs of names
        """
        rows = []
        for target in self.targets:
            name = target.name
            rounds = [phase.per_second for phase in self.rounds[name]]
            rows.append(
                (
                    labels[name],
                    self.rate(name),
                    f"{min(rounds):.0f}-{max(rounds):.0f}",
                    self.percentile(name, 50),
                    self.percentile(name, 95),
                    sum(self.errors(name).values()),
                    f"{self.cpu_ms(name, 'server_cpu'):.2f}",
                    f"{self.cpu_ms(name, 'client_cpu'):.2f}",
                )
            )
        table(HEADINGS, rows)
        print()
        for name, other in compared:
            ratios = self.ratios(name, other)
            print(
                f"{labels[name]} / {labels[other]}: {statistics.median(ratios):.2f} "
                f"(rounds {min(ratios):.2f} to {max(ratios):.2f})"
            )

    def figures(self, compared):
        """The figures of all targets, and the conditions."""
        result = {}
        for target in self.targets:
            name = target.name
            result[f"{name}_per_s"] = round(self.rate(name), 1)
            result[f"{name}_p50_ms"] = round(self.percentile(name, 50), 2)
            result[f"{name}_p95_ms"] = round(self.percentile(name, 95), 2)
            result[f"{name}_cpu_ms"] = round(self.cpu_ms(name, "server_cpu"), 3)
            result[f"{name}_errors"] = sum(self.errors(name).values())
        for name, other in compared:
            ratio = statistics.median(self.ratios(name, other))
            result[f"{name}_to_{other}"] = round(ratio, 3)
        options = self.options
        return {
            **result,
            "clients": options.clients,
            "seconds": options.seconds,
            "rounds": options.rounds,
            "keep_alive": False,
            "crons": False,
            "machine": self.software,
        }


def complain(log, but="\n"):
    """A warning in the log means that a target did not go its normal way.

    :param but: what complaints may hold that are no fault of ours
    """
    found = [line for line in odoo_log.complaints(log) if but not in line]
    if found:
        fail(f"{len(found)} complaints in the log, first: {found[0]} (see {log}).")
