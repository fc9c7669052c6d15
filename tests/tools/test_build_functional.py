"""The builder of measured connectivity on made-up subjects; the real rebuild is slow and needs a registry."""

import io

import numpy as np
import pytest
from scipy.io import savemat

from engine.errors import UserError
from systems import bold
from tools import build_connectome, build_functional


def files(subjects: int, regions: int = build_connectome.REGION_COUNT) -> dict[str, bytes]:
    rng = np.random.default_rng(1)
    mixing = rng.normal(size=(regions, regions)) * 0.1 + np.eye(regions)
    found = {}
    for k in range(subjects):
        out = io.BytesIO()
        savemat(out, {"tc": mixing @ rng.normal(size=(regions, 150))})
        found[f"hcp/subjects/{k}/functional/TC_rsfMRI_REST1_LR.mat"] = out.getvalue()
    return found


def test_the_first_four_are_to_fit_on_and_the_others_held_out():
    made = files(6)
    series = [build_connectome.read_mat(data) for _, data in sorted(made.items())]
    asset = build_functional.build(made, say=lambda _: None)
    for key, group in (("fc_fit", series[:4]), ("fc_test", series[4:])):
        assert asset[key] == pytest.approx(build_connectome.mean_correlation(group), abs=1e-6)
    cortex = asset["cortical"]
    pooled = np.concatenate([bold.dynamics(signal[cortex].T) for signal in series[4:]])
    assert asset["fcd_test"][100] == pytest.approx(np.median(pooled), abs=1e-6) and asset["fcd_test"].size == 201
    low, high = asset["ceiling"][1:]
    inside = np.ix_(cortex, cortex)
    r = [bold.likeness(np.corrcoef(s)[inside], build_connectome.mean_correlation(series[:k] + series[k + 1 :])[inside])
         for k, s in enumerate(series)]  # fmt: skip
    assert (low, high) == pytest.approx((min(r), max(r)), abs=1e-6) and asset["subject_count"].tolist() == [4, 2]


def test_too_few_subjects_are_refused():
    with pytest.raises(UserError, match="more than 4 subjects"):
        build_functional.build(files(4), say=lambda _: None)


@pytest.mark.slow
def test_rebuild_is_the_committed_asset():
    try:
        data = build_functional.rebuild(lambda _: None)
    except build_connectome.RegistryUnreachable as error:
        pytest.skip(str(error))
    build_connectome.check(build_functional.TARGET, data)
