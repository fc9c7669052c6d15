// low_threshold_burst: GPU twin of systems/low_threshold_burst.py. One thread per neuron.
// threads: n
extern "C" __global__ void __launch_bounds__(256) low_threshold_burst(
    int n, const long long* own, const int* part, const int* run, const float* v, const float* tonic,
    const float* stimulus, const float* sense, const float* on, const float* off, const float* below, const float* gain, float* h, float* drive)
{
    for (int k = blockIdx.x * blockDim.x + threadIdx.x; k < n; k += gridDim.x * blockDim.x) {
        float current = 0.0f;
        if (v[k] < below[k]) {
            h[k] = 1.0f - (1.0f - h[k]) * off[k];
        } else {
            h[k] = h[k] > 1e-9f ? h[k] * on[k] : 0.0f;
            current = gain[k] * h[k];
        }
        drive[k] = tonic[k] + stimulus[k] + sense[k] + current;  // mV
    }
}
