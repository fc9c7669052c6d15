// homeostasis: GPU twin of systems/homeostasis.py. The first kernel counts spikes, one thread each; the second has one warp
// per target that is looked at, one lane per synapse; the third moves their rates.
// threads: 1024

static __device__ float filtered(float rate, long long ticks, const float* decay, int every)
{
    return rate * decay[ticks < every ? ticks : every];
}

extern "C" __global__ void __launch_bounds__(128) homeostasis(
    int n, const unsigned char* on, const long long* tick, const int* ids, const long long* count, const int* span,
    const int* incoming, const int* row, const float* goal, const float* decay, float* weight, float* rate,
    int* since, int decay_0)
{
    for (int s = blockIdx.x * blockDim.x + threadIdx.x; s < count[0]; s += gridDim.x * blockDim.x) {
        int k = ids[s] - span[2];
        if (k < 0 || k >= span[3]) continue;
        rate[k] = filtered(rate[k], tick[0] - since[k], decay, decay_0 - 1) + goal[3];  // Hz
        since[k] = (int)tick[0];
    }
}

// threads: 8192
extern "C" __global__ void __launch_bounds__(128) homeostasis_scale(
    int n, const unsigned char* on, const long long* tick, const int* ids, const long long* count, const int* span,
    const int* incoming, const int* row, const float* goal, const float* decay, float* weight, float* rate,
    int* since, int decay_0)
{
    int lane = threadIdx.x & 31, warps = gridDim.x * blockDim.x >> 5, every = decay_0 - 1;
    int first = (int)(tick[0] % every), warp = (blockIdx.x * blockDim.x + threadIdx.x) >> 5;
    for (long long k = first + (long long)warp * every; k < span[3]; k += (long long)warps * every) {
        float off = 1.0f - filtered(rate[k], tick[0] - since[k], decay, every) / goal[0];
        float factor = 1.0f + goal[1] * (off > -1.0f ? off : -1.0f);
        for (int r = incoming[k] + lane; r < incoming[k + 1]; r += 32) {
            float w = weight[row[r]] * factor;
            weight[row[r]] = w < goal[2] ? w : goal[2];  // mV
        }
    }
}

// threads: 1024
extern "C" __global__ void __launch_bounds__(128) homeostasis_rate(
    int n, const unsigned char* on, const long long* tick, const int* ids, const long long* count, const int* span,
    const int* incoming, const int* row, const float* goal, const float* decay, float* weight, float* rate,
    int* since, int decay_0)
{
    int every = decay_0 - 1, threads = gridDim.x * blockDim.x;
    int first = (int)(tick[0] % every), thread = blockIdx.x * blockDim.x + threadIdx.x;
    for (long long k = first + (long long)thread * every; k < span[3]; k += (long long)threads * every) {
        rate[k] = filtered(rate[k], tick[0] - since[k], decay, every);
        since[k] = (int)tick[0];
    }
}
