// modulate: GPU twin of systems/modulate.py. One thread per gain: it takes its modulators in ascending order, since
// products of floats depend on it.
// threads: value_0
extern "C" __global__ void __launch_bounds__(32) modulate(
    int n, const unsigned char* fired, const int* first, const int* count, const float* decay, const float* per_spike,
    const float* reference, const float* slope, const float* lowest, const float* highest, const int* group,
    float* rate, float* value, int value_0)
{
    for (int g = blockIdx.x * blockDim.x + threadIdx.x; g < value_0; g += gridDim.x * blockDim.x) {
        float product = 1.0f;
        for (int m = 0; m < n; m++) {
            if (group[m] != g) continue;
            int spikes = 0;
            for (int k = first[m]; k < first[m] + count[m]; k++) spikes += fired[k] != 0;
            float hz = rate[m] * decay[m] + (float)spikes * per_spike[m];
            rate[m] = hz > 1e-9f ? hz : 0.0f;
            float gain = 1.0f + slope[m] * (hz / reference[m] - 1.0f);
            gain = gain > lowest[m] ? gain : lowest[m];
            product *= gain < highest[m] ? gain : highest[m];
        }
        value[g] = product;
    }
}
