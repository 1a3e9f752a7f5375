from ingestion.backoff import Backoff


def test_pauses_grow_up_to_the_longest_with_jitter() -> None:
    pauses = [[backoff.pause() for _ in range(8)] for backoff in (Backoff(1.0, 10.0) for _ in range(20))]
    for each in pauses:
        for pause, most in zip(each, (1, 2, 4, 8, 10, 10, 10, 10), strict=True):
            assert most / 2 <= pause <= most
    assert len({each[-1] for each in pauses}) > 1


def test_a_success_restarts_with_the_shortest_pause() -> None:
    backoff = Backoff(1.0, 10.0)
    for _ in range(5):
        backoff.pause()
    backoff.reset()
    assert backoff.pause() <= 1.0
