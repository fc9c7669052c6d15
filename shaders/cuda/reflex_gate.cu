// reflex_gate: GPU twin of systems/reflex_gate.py. One thread per arc takes its gates, then one per gain its arcs, both
// in ascending order, since products of floats depend on it.
// threads: gain_0
extern "C" __global__ void __launch_bounds__(32) reflex_gate(
    int n, const unsigned char* fired, const int* gated, const int* group, const int* first, const int* count,
    const float* decay, const float* per_spike, const float* reference, const float* slope, const float* lowest,
    const float* highest, const int* arc, float* rate, float* gain, float* value,
    int gain_0, int gated_0, int value_0)
{
    for (int a = blockIdx.x * blockDim.x + threadIdx.x; a < gain_0; a += gridDim.x * blockDim.x) {
        float product = 1.0f;
        for (int m = 0; m < n; m++) {
            if (arc[m] != a) continue;
            int spikes = 0;
            for (int k = first[m]; k < first[m] + count[m]; k++) spikes += fired[k] != 0;
            float hz = rate[m] * decay[m] + (float)spikes * per_spike[m];
            rate[m] = hz > 1e-9f ? hz : 0.0f;
            float factor = 1.0f + slope[m] * (hz / reference[m] - 1.0f);
            factor = factor > lowest[m] ? factor : lowest[m];
            product *= factor < highest[m] ? factor : highest[m];
        }
        gain[a] = product;
    }
}

// threads: value_0
extern "C" __global__ void __launch_bounds__(32) reflex_gate_apply(
    int n, const unsigned char* fired, const int* gated, const int* group, const int* first, const int* count,
    const float* decay, const float* per_spike, const float* reference, const float* slope, const float* lowest,
    const float* highest, const int* arc, float* rate, float* gain, float* value,
    int gain_0, int gated_0, int value_0)
{
    for (int g = blockIdx.x * blockDim.x + threadIdx.x; g < value_0; g += gridDim.x * blockDim.x)
        for (int k = 0; k < gated_0; k++)
            if (group[k] == g) value[g] *= gain[gated[k]];
}
