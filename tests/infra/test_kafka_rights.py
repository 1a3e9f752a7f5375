"""The table of rights in Kafka: complete, and the same in the docs."""

import re
from collections import defaultdict
from pathlib import Path

from infra.kafka.rights import LANDING_GROUPS, LEDGER_GROUP, RIGHTS, STATE_GROUPS, TOPICS, Kind, Operation
from ingestion.consumer_groups import LANDING_GROUP, STATE_GROUP
from lakehouse import contracts

PAGE = Path("docs/connections.md").absolute()
BROKER = Path("ingestion/ledger/broker.py").absolute()


def test_the_names_are_those_of_the_code() -> None:
    assert set(TOPICS) == set(contracts.TOPICS)
    assert (f"{LANDING_GROUP}-", f"{STATE_GROUP}-") == (LANDING_GROUPS, STATE_GROUPS)
    assert f'"group.id": "{LEDGER_GROUP}"' in BROKER.read_text(encoding="utf-8")
    assert len(set(RIGHTS)) == len(RIGHTS)


def test_the_docs_contain_the_table() -> None:
    block = re.search(r"<!-- rights: .*?-->(.*?)<!-- /rights -->", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    assert block[1].strip().splitlines()[2:] == expected_lines()


def expected_lines() -> list[str]:
    cells: dict[str, dict[Operation, dict[str, list[str]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for right in RIGHTS:
        kind, suffix = (
            ("topics", "") if right.kind is Kind.TOPIC else ("groups", "*" * (right.kind is Kind.GROUP_PREFIX))
        )
        cells[right.user][right.operation][kind].append(f"`{right.name}{suffix}`")
    lines = []
    for user, operations in cells.items():
        texts = (
            ", ".join(f"{kind} {', '.join(names)}" for kind, names in operations[operation].items()) or "-"
            for operation in Operation
        )
        lines.append(f"| `{user}` | {' | '.join(texts)} |")
    return lines
