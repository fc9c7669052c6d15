// facilitation: GPU twin of systems/facilitation.py. One warp per spiking source, one lane per synapse; the second kernel
// then spends what the spike took.
// threads: 8192
extern "C" __global__ void __launch_bounds__(128) facilitation(
    int n, const long long* tick, const int* ids, const long long* count, const int* outgoing, const float* rested,
    const int* span, const float* use, const float* recovery_decay, const float* facilitation_decay, float* weight,
    float* more, float* spent, int* since, int outgoing_1, int recovery_decay_0, int facilitation_decay_0)
{
    int lane = threadIdx.x & 31, warps = gridDim.x * blockDim.x >> 5;
    for (int s = (blockIdx.x * blockDim.x + threadIdx.x) >> 5; s < count[0]; s += warps) {
        int p = ids[s] - span[0];
        if (p < 0 || p >= span[1]) continue;
        long long t = tick[0] - since[p];
        float extra = t < facilitation_decay_0 ? more[p] * facilitation_decay[t] : 0.0f;
        float left = 1.0f - (t < recovery_decay_0 ? spent[p] * recovery_decay[t] : 0.0f);
        float share = left * ((use[0] + extra) / use[0]);
        const int* at = outgoing + (long long)ids[s] * outgoing_1;
        for (int j = at[0] + lane; j < at[outgoing_1 - 1]; j += 32) weight[j] = rested[j] * share;  // mV
    }
}

// threads: 1024
extern "C" __global__ void __launch_bounds__(128) facilitation_spend(
    int n, const long long* tick, const int* ids, const long long* count, const int* outgoing, const float* rested,
    const int* span, const float* use, const float* recovery_decay, const float* facilitation_decay, float* weight,
    float* more, float* spent, int* since, int outgoing_1, int recovery_decay_0, int facilitation_decay_0)
{
    for (int s = blockIdx.x * blockDim.x + threadIdx.x; s < count[0]; s += gridDim.x * blockDim.x) {
        int p = ids[s] - span[0];
        if (p < 0 || p >= span[1]) continue;
        long long t = tick[0] - since[p];
        float extra = t < facilitation_decay_0 ? more[p] * facilitation_decay[t] : 0.0f;
        float left = 1.0f - (t < recovery_decay_0 ? spent[p] * recovery_decay[t] : 0.0f);
        float u = use[0] + extra;
        spent[p] = 1.0f - left * (1.0f - u);
        more[p] = extra + use[0] * (1.0f - u);
        since[p] = (int)tick[0];
    }
}
