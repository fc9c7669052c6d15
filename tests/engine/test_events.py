"""Event queues: bounded, counted, cleared in settle."""

from engine.world import World


def test_what_does_not_fit_is_counted():
    queue = World().queue("hits", capacity=2)
    assert [queue.push(k) for k in "abcd"] == [True, True, False, False]
    assert list(queue) == ["a", "b"] and len(queue) == 2 and queue.overflow == 2


def test_settle_clears_the_events_but_not_the_count_of_lost_ones():
    world = World()
    queue = world.queue("hits", capacity=1)
    queue.push(1), queue.push(2)
    world.settle()
    assert len(queue) == 0 and queue.overflow == 1 and queue.push(3)


def test_a_queue_is_made_once():
    world = World()
    assert world.queue("hits") is world.queue("hits") and world.queue("hits") is not world.queue("misses")
