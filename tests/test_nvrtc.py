"""NVRTC compiles every CUDA kernel for three architectures; no GPU is needed. Skipped, aloud, where it is missing."""

import re

import pytest

from engine.errors import UserError
from engine.twin import shipped
from tools import cuda_compile

try:
    cuda_compile.nvrtc()
except UserError as error:
    pytest.skip(f"CUDA kernels are not compiled: {error}", allow_module_level=True)

TWINS = {twin.name: twin for twin in shipped()}
REGISTERS = 65_536  # of a multiprocessor


@pytest.mark.parametrize("architecture", cuda_compile.ARCHITECTURES)
def test_every_kernel_compiles_and_fits(architecture):
    """Machine code for every kernel: nothing spilled, a block's registers fit, shared memory fits."""
    compiled = [one for twin in TWINS.values() for one in cuda_compile.compile_twin(twin, architecture)]
    assert len(compiled) == sum(len(twin.stages) for twin in TWINS.values()) >= 19
    blocks = {stage.name: stage.block for twin in TWINS.values() for stage in twin.stages}
    for one in compiled:
        assert one.registers >= 4 and one.registers * blocks[one.name] <= REGISTERS, one
        assert one.spilled == 0 and one.shared <= 48 << 10, one


def test_machine_code_has_no_multiply_add_of_one_rounding_and_no_approximation():
    """Else a GPU would round otherwise than the CPU: the compiler's PTX says what was asked for."""
    for name, twin in TWINS.items():
        code = cuda_compile.compile_source(name, twin.source, "compute_80")[0].decode(errors="replace")
        assert f".entry {twin.stages[0].name}" in code
        assert not re.findall(r"\b(?:fma\.rn|mad\.rn|\w+\.approx|\w+\.ftz)[.\w]*", code), name
        if name == "lif_integrate":  # and the look-out would see what there is
            assert len(re.findall(r"\bmul\.rn\.f32", code)) > 20 and len(re.findall(r"\badd\.rn\.f32", code)) > 10


def test_a_mistake_is_one_error_with_the_compilers_words():
    with pytest.raises(UserError, match=r"broken\.cu: sm_90: .*undefined"):
        cuda_compile.compile_source("broken", 'extern "C" __global__ void f(int n) { n = m; }', "sm_90")


def test_registers_and_spills_are_read_from_the_compilers_report():
    source = TWINS["lif_integrate"].source.replace("__launch_bounds__(256)", "__launch_bounds__(1024, 2)")
    _, log = cuda_compile.compile_source("lif", source, "sm_90")
    (found,) = cuda_compile.USED.finditer(log)
    assert found["name"] == "lif_integrate" and int(found["registers"]) <= 32
