"""The delayed cue: it is learnt, and not where nothing could have been learnt."""

import numpy as np
import pytest

from tools.delayed_cue import CUES, Net, Rule, Task, main, train

SHORT = Task(cue=60, delay=100, answer=60)
SMALL = Rule(cells=40, batch=16, rate=0.01)


def test_a_trial_says_the_cue_only_at_its_beginning():
    rng = np.random.default_rng(1)
    trials = [np.array([Task().trial(rng, label) for _ in range(20)]).mean(axis=0) for label in range(CUES)]
    for label, mean in enumerate(trials):
        hz = mean.reshape(700, 6, 10).mean(axis=2) * 1000
        assert hz[:100, label].mean() == pytest.approx(100, rel=0.1) and hz[600:, 4].mean() == pytest.approx(
            100, rel=0.1
        )
        assert hz[100:, :4].sum() == 0 and hz[:600, 4].sum() == 0 and hz[:, 5].mean() == pytest.approx(10, rel=0.1)


def test_a_small_net_learns_a_short_delay_and_shuffled_or_no_learning_does_not():
    """Chance is a quarter. A net that learnt from shuffled labels may be right of one cue of four by luck, or two."""
    found = {arm: train(1, arm, SHORT, SMALL, 40, tests=200)["accuracy"] for arm in ("symmetric", "off", "shuffled")}
    assert found["symmetric"] >= 0.9 and found["off"] < 0.36 and found["shuffled"] < 0.6, found


def test_signs_are_kept_and_absent_synapses_stay_absent():
    """Also under gradients that would turn every weight round."""
    net = Net(np.random.default_rng(2), SMALL)
    before, mask = net.w.copy(), net.mask
    for _ in range(100):
        net.update((np.ones_like(net.w), np.ones_like(net.w_out)))
    assert (net.w == 0).all() and (net.w_out == 0).all()
    for _ in range(300):
        net.update((-np.ones_like(net.w), -np.ones_like(net.w_out)))
    assert (net.w[mask] > 0).all() and (net.w[~mask] == 0).all() and (before[~mask] == 0).all()
    assert set(np.unique(net.sign)) == {-1.0, 1.0} and (net.sign[: net.given] == 1).all()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 12])
def test_half_a_second_is_bridged(seed):
    """The whole task at seeds that nothing was tuned on."""
    assert train(seed, "symmetric", Task(), Rule(), 80)["accuracy"] >= 0.95


def test_the_command_prints_a_line_for_each_arm(capsys):
    assert main(["--seeds", "1", "--batches", "1", "--delay", "20", "--arms", "bptt", "random"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["bptt", "random"]
