"""A system's declaration, its Python signature and its .cu signature agree, `const` included."""

import inspect
import re

import pytest

from engine import twin as twins
from engine.kernel import Kernel
from systems.schedule import TICK

KERNELS = [s for phase in TICK for s in phase.systems if isinstance(s.function, Kernel)]
BY_NAME = {s.name: s for s in KERNELS}


def names_of(system) -> list[str]:
    return list(inspect.signature(system.function.function).parameters)


@pytest.mark.parametrize("system", KERNELS, ids=lambda s: s.name)
def test_a_kernel_and_its_twin_agree(system):
    twin = twins.twin_of(system)
    assert twin is not None, f"shaders/cuda/{system.name}.cu is missing"
    assert twins.disagreements(system, names_of(system), twin) == []
    module = system.function.__module__.replace(".", "/")
    assert twin.source.startswith(f"// {system.name}: GPU twin of {module}.py")
    assert twin.stages[0].name == system.name and all(s.name.startswith(system.name) for s in twin.stages)


def test_every_file_is_the_twin_of_a_system():
    assert {twin.name for twin in twins.shipped()} - set(BY_NAME) == {twins.CLOCK}


def test_kernels_keep_to_what_is_the_same_everywhere():
    """No transcendental function, no warp operation (the shim has none), no sum whose order matters."""
    for twin in twins.shipped():
        code = re.sub(r"//[^\n]*", "", twin.source)
        banned = re.search(r"\b(exp|log|pow|sin|cos|tanh|fma)f?\(|__(exp|log|sin|cos|shfl|ballot|f\w+_r)", code)
        assert banned is None, f"{twin.name}: {banned}"
        for adds in re.findall(r"atomicAdd\(([^;]*);", code):
            assert "ring" in adds or "saturated" in adds, f"{twin.name}: {adds}"  # columns of integers


@pytest.mark.parametrize(
    ("name", "old", "new", "what"),
    [
        ("sum_drive", "const float* tonic", "float* tonic", "read"),
        ("sum_drive", "float* drive", "const float* drive", "written"),
        ("sum_drive", "float* tonic, const float* stimulus", "float* stimulus, const float* tonic", "arguments"),
        ("sense_touch", "const double* sensors", "const float* sensors", "float64"),
        ("lif_integrate", "int n,", "long long n,", "int n first"),
        ("modulate", "int value_0", "int worth_0", "neither"),
        ("deliver_spikes", "int ring_1)", "int* ring_1)", "neither"),
    ],
)  # fmt: skip
def test_a_planted_disagreement_is_found(tmp_path, name, old, new, what):
    source = (twins.FOLDER / f"{name}.cu").read_text()
    assert old in source
    (tmp_path / f"{name}.cu").write_text(source.replace(old, new))
    found = twins.disagreements(BY_NAME[name], names_of(BY_NAME[name]), twins.read(name, tmp_path))
    assert any(what in line for line in found), found


def test_a_kernel_that_does_not_say_how_many_threads_it_needs_is_refused(tmp_path):
    source = (twins.FOLDER / "stdp.cu").read_text()
    (tmp_path / "stdp.cu").write_text(source.replace("// threads: 1024\n", ""))
    with pytest.raises(ValueError, match="line of threads"):
        twins.read("stdp", tmp_path)
