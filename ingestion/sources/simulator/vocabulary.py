"""Names of teams and users, titles of objectives, and measures of key results. Some are deliberately unusual."""

from dataclasses import dataclass

TEAMS = (
    "Leadership",
    "Payments",
    "Checkout",
    "Search",
    "Onboarding",
    "Growth",
    "Billing",
    "Identity",
    "Mobile",
    "Platform",
    "Data",
    "Security",
    "Support",
    "Logistics",
    "Pricing",
    "Catalogue",
    "Partnerships",
    "Marketing",
    "Brand",
    "Sales",
    "Renewals",
    "Finance",
    "People",
    "Legal",
    "Facilities",
    "Research",
    "Design",
    "Quality",
    "Reliability",
    "Networks",
    "Storage",
    "Messaging",
    "Localisation",
    "Accessibility",
    "Community",
    "Education",
    "Procurement",
    "Compliance",
    "Insights",
    "Experiments",
)

UNUSUAL_TEAM_NAMES = {2: "Платформа & <b>Ops</b> 🚀", 3: 'فريق المدفوعات, "الرئيسي"'}

FIRST_NAMES = (
    "Ada",
    "Bruno",
    "Chiara",
    "Dmitri",
    "Elif",
    "Farid",
    "Grace",
    "Hana",
    "Ivo",
    "Joana",
    "Kofi",
    "Lena",
    "Marek",
    "Nadia",
    "Oskar",
    "Priya",
    "Quentin",
    "Rosa",
    "Sven",
    "Tala",
    "Uma",
    "Viktor",
    "Wanda",
    "Ximena",
    "Yusuf",
    "Zofia",
)
LAST_NAMES = (
    "Adler",
    "Brandt",
    "Castro",
    "Duarte",
    "Eriksen",
    "Fofana",
    "Garnier",
    "Hoffmann",
    "Ito",
    "Jansen",
    "Kowalski",
    "Lindqvist",
    "Moreau",
    "Novak",
    "Okafor",
    "Petrov",
    "Quispe",
    "Rossi",
    "Sato",
    "Tanaka",
    "Umar",
    "Vogel",
    "Weber",
    "Xu",
    "Yilmaz",
    "Zhang",
)

UNUSUAL_PERSON_NAMES = (
    "<script>alert('okr')</script>",
    "Zoë 🚀👩‍💻 O'Brien-Łukasz",
    "مريم الخطيب",
    "עדי לוי",
    "Wolfeschlegelsteinhausen" * 12 + "bergerdorff!",  # 300 characters
    "Robert'); DROP TABLE okrs;--",
    '=HYPERLINK("http://example.org","Bo")',
    "NULL",
)

OBJECTIVES = (
    "Make the first week effortless for new customers",
    "Be the service that people rely on",
    "Win back the customers who left",
    "Halve the time from idea to release",
    "Grow where we are weak",
    "Spend less on what nobody uses",
    "Let every colleague find what they need",
    "Earn trust with our numbers",
    'Say "yes" more often, and mean it',
    "اجعل كل عميل يشعر بالترحيب",
    "Delight <em>every</em> customer & partner 🎯",
    "Know what we do not know: " + "measure, learn, decide, " * 11 + "again.",  # 296 characters
)

NOTES = (
    "On plan.",
    "Waiting for legal.",
    "Shipped the first half; the second follows next week.",
    "Two people ill, little progress.",
    'Numbers from the "old" dashboard, to be checked',
    "Grosser Fortschritt 🎉\nDetails im Protokoll.",
)


@dataclass(frozen=True)
class Measure:
    """What a key result measures. `gain` is the range of |target - baseline| as a share of the baseline."""

    title: str
    unit: str
    baseline: tuple[float, float]
    gain: tuple[float, float]
    rises: bool
    decimals: int


MEASURES = (
    Measure("Raise activation of new accounts to {} %", "percent", (25, 50), (0.2, 0.5), rises=True, decimals=1),
    Measure("Raise monthly recurring revenue to {} EUR", "eur", (40_000, 900_000), (0.1, 0.4), rises=True, decimals=0),
    Measure("Cut median lead time to {} days", "days", (12, 40), (0.2, 0.5), rises=False, decimals=2),
    Measure("Reach {} weekly active users", "users", (1_500, 60_000), (0.15, 0.6), rises=True, decimals=0),
    Measure("Bring the first response down to {} minutes", "minutes", (45, 240), (0.25, 0.6), rises=False, decimals=1),
    Measure("Lift the net promoter score to {}", "points", (18, 45), (0.2, 0.6), rises=True, decimals=1),
    Measure("Reduce open defects to {}", "defects", (180, 900), (0.3, 0.7), rises=False, decimals=0),
    Measure("Cover {} % of critical paths with tests", "percent", (35, 60), (0.2, 0.5), rises=True, decimals=1),
    Measure("Lower the monthly bill to {} EUR", "eur", (8_000, 120_000), (0.1, 0.35), rises=False, decimals=0),
    Measure("Sign {} partners", "partners", (120, 600), (0.2, 0.6), rises=True, decimals=0),
    Measure(
        "Respond to API requests within {} ms (95th percentile)",
        "ms",
        (300, 1_400),
        (0.2, 0.6),
        rises=False,
        decimals=0,
    ),
    Measure(
        "Lift the share of searches with a click to {} %", "percent", (30, 55), (0.15, 0.4), rises=True, decimals=1
    ),
    Measure("Shrink monthly churn to {} %", "percent", (3, 9), (0.15, 0.4), rises=False, decimals=2),
    Measure("Train {} colleagues", "people", (100, 800), (0.3, 0.9), rises=True, decimals=0),
    Measure("Move net cash flow from a loss to {} kEUR", "keur", (-400, -100), (0.3, 1.6), rises=True, decimals=1),
    Measure("Publish {} guides", "guides", (110, 300), (0.3, 0.8), rises=True, decimals=0),
)
