"""Who is in the year of business, and what they do: made up, and the same each time."""

import random

FIRST = (
    "Ada Amir Anouk Aria Ben Bianca Carla Chen Clara Dalia David Deniz Ela Elif Emil"
    " Emma Eva Farah Felix Finn Gina Hana Hugo Ida Ines Ivan Jana Jonas Julia Kai Kavya"
    " Lara Lea Leo Lina Luca Maja Malik Marta Mia Milan Mina Nadia Nico Noah Nora Olga"
    " Omar Paul Petra Priya Rafael Ravi Rosa Sami Sara Selma Sofia Tara Theo Tomas"
    " Vera Victor Yara Yusuf Zoe"
).split()
LAST = (
    "Adler Arslan Bauer Berg Blanc Brandt Castro Costa Dahl Diaz Duarte Egger Fischer"
    " Fontana Garcia Gruber Haas Hansen Hoffman Iqbal Jansen Kaya Keller Klein Kovacs"
    " Larsen Lehmann Leroy Lopez Marino Martin Mehta Meyer Moreau Moreno Nair Novak"
    " Okafor Olsen Park Pereira Petrov Quist Reyes Ricci Rossi Roth Sato Schmid Silva"
    " Simon Singh Sousa Svensson Tanaka Torres Varga Vogel Wagner Weber Wolf Yilmaz"
).split()
DAY = 86400
AFFILIATES, CUSTOMERS = 29, 400
PAGES = ("/", "/pricing", "/features", "/blog/getting-started", "/compare")
COUNTRIES = ("US", "US", "GB", "DE", "FR", "NL", "IN", "ES", "CA", "AU")
CHANNELS = ("newsletter", "youtube", "blog", "podcast", "social")
MOTIVES = (
    "I write a newsletter for small teams.",
    "I teach courses about this kind of software.",
    "My channel compares tools like yours.",
    "I advise shops that look for something like this.",
)


def names(count, seed):
    """So many different names of people who do not exist."""
    every = [f"{first} {last}" for first in FIRST for last in LAST]
    return random.Random(seed).sample(every, count)


def address(name, domain):
    return f"{name.lower().replace(' ', '.')}@{domain}"


class Crowd:
    """A growing year up to ``now``: affiliates, customers, visits and leads.

    :param list codes: of the affiliates, the busiest first
    :param dict prices: ids of ``starter``, ``pro``, ``plus`` and ``lifetime``
    """

    def __init__(self, now, codes, prices, visitors):
        self.random = random.Random("a year")
        self.now, self.codes, self.prices = now, codes, prices
        self.visitors = visitors
        self.acts, self.visits, self.leads = [], [], []
        for number, name in enumerate(names(CUSTOMERS, "customers")):
            self._customer(number, name)
        self._onlookers()

    def _moment(self):
        """More towards the end, as of a business that grows."""
        return int(self.now - 364 * DAY * (1 - self.random.random() ** 0.7))

    def _code(self):
        """A few affiliates bring most of the customers."""
        place = int(len(self.codes) * self.random.random() ** 2.2)
        return self.codes[place]

    def _customer(self, number, name):
        chance, start = self.random, self._moment()
        email = address(name, "example.com")
        plan = chance.choices(("starter", "pro", "plus", "lifetime"), (5, 4, 1, 1))[0]
        sale = {"price": self.prices[plan], "email": email, "name": name}
        how = chance.choices(("nobody", "code", "link", "lead"), (3, 3, 3, 2))[0]
        if how != "nobody":
            code = self._code()
            paid = how == "link" and number % 60 == 0  # by an advertisement
            before = start - chance.randint(600, 12 * DAY)
            visitor = self._visit(code, before, paid)
        if how == "code":
            sale["code"] = code
        elif how == "link":
            sale["reference"] = f"{code}_{visitor}"
        elif how == "lead":
            seen = visitor if number % 10 else False  # nobody saw them come
            self.leads.append([code, email, start - chance.randint(60, 600), seen])
        self.acts.append([start, "checkout", sale])
        self._fate(number, email, start)

    def _fate(self, number, email, start):
        """Most stay; some leave, get money back, or let their bank take it."""
        chance, left = self.random, self.now - start
        later = start + chance.randint(5 * DAY, max(left - DAY, 6 * DAY))
        if later > self.now - DAY:
            return
        if number % 9 == 0:
            self.acts.append([later, "cancel", {"email": email}])
        elif number % 13 == 0:
            percent = chance.choice((20, 50, 100))
            values = {"email": email, "percent": percent}
            self.acts.append([later, "refund", values])
        elif number % 41 == 0:
            status = chance.choice((None, "won", "lost"))
            values = {"email": email, "status": status}
            self.acts.append([later, "dispute", values])
        elif number % 23 == 0:
            self.acts.append([later, "declines", {"email": email}])

    def colleagues(self, boss):
        """Two people buy who have their address where their affiliate has one."""
        domain = boss.email.partition("@")[2]
        for number, name in enumerate(names(2, "colleagues")):
            sale = {
                "price": self.prices["pro"],
                "email": address(name, domain),
                "name": name,
                "code": boss.code,
            }
            self.acts.append([self.now - (9 + 30 * number) * DAY, "checkout", sale])

    def own_purchase(self, buyer):
        """An affiliate buys with the own code."""
        sale = {
            "price": self.prices["pro"],
            "email": buyer.email,
            "name": buyer.name,
            "code": buyer.code,
        }
        self.acts.append([self.now - 20 * DAY, "checkout", sale])

    def _visit(self, code, moment, paid=False):
        visitor, chance = next(self.visitors), self.random
        values = {
            "date": moment,
            "visitor": visitor,
            "page": chance.choice(PAGES),
            "channel": chance.choice(CHANNELS),
            "country": chance.choice(COUNTRIES),
            "network": "Google Ads" if paid else None,
        }
        self.visits.append([code, values])
        return visitor

    def _onlookers(self):
        """Most visitors only look, and some leave their address and stay away."""
        for number, name in enumerate(names(140, "leads")):
            code, moment = self._code(), self._moment()
            visitor = self._visit(code, moment)
            email = address(name, "mail.example")
            if number % 14 == 0:
                visitor = False  # nobody saw them come
            self.leads.append([code, email, moment + 120, visitor])
        for _number in range(2600):
            self._visit(self._code(), self._moment())
