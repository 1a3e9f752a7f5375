"""The bodies of requests share a budget, and those of strangers a small one (test_slow_bodies: on real sockets)."""

from serving.http.body_budget import BodyBudget


def test_strangers_at_many_addresses_share_a_budget_and_return_what_they_took() -> None:
    budget = BodyBudget(100, strangers_bytes=20, address_bytes=10)
    shares = [budget.share(f"address:{number}") for number in range(3)]
    assert [share.take(10) for share in shares] == [True, True, False]
    assert [budget.left(None), budget.left("address:2")] == [80, 0]
    for share in shares:
        share.give_back()
    assert [budget.left(None), budget.left("address:2")] == [100, 10]
