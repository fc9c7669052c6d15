// stdp: GPU twin of systems/stdp.py. One warp per spike. A synapse has one source and one target, so it loses at most
// once, then grows at most once: two kernels in this order give the bits of the serial loops. The third moves traces.
// threads: 8192

static __device__ float faded(float trace, long long ticks, const float* decay, int length)
{
    return ticks < length ? trace * decay[ticks] : 0.0f;
}

extern "C" __global__ void __launch_bounds__(128) stdp(
    int n, const unsigned char* on, const long long* tick, const int* ids, const long long* count, const int* post,
    const int* outgoing, const int* source, const int* span, const int* incoming, const int* row, const float* step,
    const float* pre_decay, const float* post_decay, float* weight, float* pre_trace, int* pre_tick,
    float* post_trace, int* post_tick, int outgoing_1, int pre_decay_0, int post_decay_0)
{
    int lane = threadIdx.x & 31, warps = gridDim.x * blockDim.x >> 5;
    for (int s = (blockIdx.x * blockDim.x + threadIdx.x) >> 5; s < count[0]; s += warps) {
        if (ids[s] < span[0] || ids[s] >= span[0] + span[1]) continue;
        const int* at = outgoing + (long long)ids[s] * outgoing_1;
        for (int j = at[0] + lane; j < at[outgoing_1 - 1]; j += 32) {
            int k = post[j] - span[2];
            float left = weight[j] - step[1] * faded(post_trace[k], tick[0] - post_tick[k], post_decay, post_decay_0);
            weight[j] = left > 0.0f ? left : 0.0f;  // mV
        }
    }
}

// threads: 8192
extern "C" __global__ void __launch_bounds__(128) stdp_grow(
    int n, const unsigned char* on, const long long* tick, const int* ids, const long long* count, const int* post,
    const int* outgoing, const int* source, const int* span, const int* incoming, const int* row, const float* step,
    const float* pre_decay, const float* post_decay, float* weight, float* pre_trace, int* pre_tick,
    float* post_trace, int* post_tick, int outgoing_1, int pre_decay_0, int post_decay_0)
{
    int lane = threadIdx.x & 31, warps = gridDim.x * blockDim.x >> 5;
    for (int s = (blockIdx.x * blockDim.x + threadIdx.x) >> 5; s < count[0]; s += warps) {
        int k = ids[s] - span[2];
        if (k < 0 || k >= span[3]) continue;
        for (int r = incoming[k] + lane; r < incoming[k + 1]; r += 32) {
            int j = row[r], p = source[j];
            float more = weight[j] + step[0] * faded(pre_trace[p], tick[0] - pre_tick[p], pre_decay, pre_decay_0);
            weight[j] = more < step[2] ? more : step[2];  // mV
        }
    }
}

// threads: 1024
extern "C" __global__ void __launch_bounds__(128) stdp_trace(
    int n, const unsigned char* on, const long long* tick, const int* ids, const long long* count, const int* post,
    const int* outgoing, const int* source, const int* span, const int* incoming, const int* row, const float* step,
    const float* pre_decay, const float* post_decay, float* weight, float* pre_trace, int* pre_tick,
    float* post_trace, int* post_tick, int outgoing_1, int pre_decay_0, int post_decay_0)
{
    for (int s = blockIdx.x * blockDim.x + threadIdx.x; s < count[0]; s += gridDim.x * blockDim.x) {
        int p = ids[s] - span[0], k = ids[s] - span[2];
        if (p >= 0 && p < span[1]) {
            pre_trace[p] = faded(pre_trace[p], tick[0] - pre_tick[p], pre_decay, pre_decay_0) + 1.0f;
            pre_tick[p] = (int)tick[0];
        }
        if (k >= 0 && k < span[3]) {
            post_trace[k] = faded(post_trace[k], tick[0] - post_tick[k], post_decay, post_decay_0) + 1.0f;
            post_tick[k] = (int)tick[0];
        }
    }
}
