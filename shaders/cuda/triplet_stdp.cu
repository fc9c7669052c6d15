// triplet_stdp: GPU twin of systems/triplet_stdp.py. One warp per spike. Whatever a synapse gains and loses in a tick is
// done in one place, in the order of the substeps: if its target fired before its source in the first kernel, else the
// loss in the first and the growth in the second. The third moves traces.
// threads: 8192

static __device__ float triplet_faded(float trace, long long substeps, const float* decay, int length)
{
    return substeps < length ? trace * decay[substeps] : 0.0f;
}

extern "C" __global__ void __launch_bounds__(128) triplet_stdp(
    int n, const unsigned char* on, const long long* tick, const long long* substeps, const unsigned char* fired,
    const int* ids, const long long* count, const int* post, const int* outgoing, const int* source, const int* span,
    const int* incoming, const int* row, const float* step, const float* pre_decay, const float* pre_slow_decay,
    const float* post_decay, const float* post_slow_decay, float* weight, float* pre_trace, float* pre_slow,
    int* pre_tick, unsigned char* pre_sub, float* post_trace, float* post_slow, int* post_tick,
    unsigned char* post_sub, int outgoing_1, int pre_decay_0, int pre_slow_decay_0, int post_decay_0,
    int post_slow_decay_0)
{
    int lane = threadIdx.x & 31, warps = gridDim.x * blockDim.x >> 5;
    for (int s = (blockIdx.x * blockDim.x + threadIdx.x) >> 5; s < count[0]; s += warps) {
        int p = ids[s] - span[0];
        if (p < 0 || p >= span[1]) continue;
        long long per = substeps[0], a = fired[ids[s]];
        long long t = (tick[0] - pre_tick[p]) * per + a - pre_sub[p];
        float slow = triplet_faded(pre_slow[p], t, pre_slow_decay, pre_slow_decay_0);
        const int* at = outgoing + (long long)ids[s] * outgoing_1;
        for (int j = at[0] + lane; j < at[outgoing_1 - 1]; j += 32) {
            int k = post[j] - span[2];
            long long b = fired[post[j]];
            float w = weight[j], target;  // mV
            if (b != 0 && b < a) {
                long long before = (tick[0] - post_tick[k]) * per + b - post_sub[k];
                float trace = triplet_faded(pre_trace[p], t - (a - b), pre_decay, pre_decay_0);
                w = w + trace * (step[0] + step[1] * triplet_faded(post_slow[k], before, post_slow_decay, post_slow_decay_0));
                w = w < step[4] ? w : step[4];
                target = triplet_faded(triplet_faded(post_trace[k], before, post_decay, post_decay_0) + 1.0f, a - b, post_decay,
                               post_decay_0);
            } else {
                target = triplet_faded(post_trace[k], (tick[0] - post_tick[k]) * per + a - post_sub[k], post_decay,
                               post_decay_0);
            }
            w = w - target * (step[2] + step[3] * slow);
            weight[j] = w > 0.0f ? w : 0.0f;
        }
    }
}

// threads: 8192
extern "C" __global__ void __launch_bounds__(128) triplet_stdp_grow(
    int n, const unsigned char* on, const long long* tick, const long long* substeps, const unsigned char* fired,
    const int* ids, const long long* count, const int* post, const int* outgoing, const int* source, const int* span,
    const int* incoming, const int* row, const float* step, const float* pre_decay, const float* pre_slow_decay,
    const float* post_decay, const float* post_slow_decay, float* weight, float* pre_trace, float* pre_slow,
    int* pre_tick, unsigned char* pre_sub, float* post_trace, float* post_slow, int* post_tick,
    unsigned char* post_sub, int outgoing_1, int pre_decay_0, int pre_slow_decay_0, int post_decay_0,
    int post_slow_decay_0)
{
    int lane = threadIdx.x & 31, warps = gridDim.x * blockDim.x >> 5;
    for (int s = (blockIdx.x * blockDim.x + threadIdx.x) >> 5; s < count[0]; s += warps) {
        int k = ids[s] - span[2];
        if (k < 0 || k >= span[3]) continue;
        long long per = substeps[0], b = fired[ids[s]];
        float slow = triplet_faded(post_slow[k], (tick[0] - post_tick[k]) * per + b - post_sub[k], post_slow_decay,
                           post_slow_decay_0);
        for (int r = incoming[k] + lane; r < incoming[k + 1]; r += 32) {
            int j = row[r], p = source[j];
            long long a = fired[span[0] + p];
            if (a > b) continue;
            long long t = (tick[0] - pre_tick[p]) * per - pre_sub[p];
            float trace;
            if (a != 0 && a < b)
                trace = triplet_faded(triplet_faded(pre_trace[p], t + a, pre_decay, pre_decay_0) + 1.0f, b - a, pre_decay, pre_decay_0);
            else
                trace = triplet_faded(pre_trace[p], t + b, pre_decay, pre_decay_0);
            float more = weight[j] + trace * (step[0] + step[1] * slow);
            weight[j] = more < step[4] ? more : step[4];  // mV
        }
    }
}

// threads: 1024
extern "C" __global__ void __launch_bounds__(128) triplet_stdp_trace(
    int n, const unsigned char* on, const long long* tick, const long long* substeps, const unsigned char* fired,
    const int* ids, const long long* count, const int* post, const int* outgoing, const int* source, const int* span,
    const int* incoming, const int* row, const float* step, const float* pre_decay, const float* pre_slow_decay,
    const float* post_decay, const float* post_slow_decay, float* weight, float* pre_trace, float* pre_slow,
    int* pre_tick, unsigned char* pre_sub, float* post_trace, float* post_slow, int* post_tick,
    unsigned char* post_sub, int outgoing_1, int pre_decay_0, int pre_slow_decay_0, int post_decay_0,
    int post_slow_decay_0)
{
    for (int s = blockIdx.x * blockDim.x + threadIdx.x; s < count[0]; s += gridDim.x * blockDim.x) {
        int p = ids[s] - span[0], k = ids[s] - span[2];
        long long per = substeps[0], sub = fired[ids[s]];
        if (p >= 0 && p < span[1]) {
            long long t = (tick[0] - pre_tick[p]) * per + sub - pre_sub[p];
            pre_trace[p] = triplet_faded(pre_trace[p], t, pre_decay, pre_decay_0) + 1.0f;
            pre_slow[p] = triplet_faded(pre_slow[p], t, pre_slow_decay, pre_slow_decay_0) + 1.0f;
            pre_tick[p] = (int)tick[0];
            pre_sub[p] = (unsigned char)sub;
        }
        if (k >= 0 && k < span[3]) {
            long long t = (tick[0] - post_tick[k]) * per + sub - post_sub[k];
            post_trace[k] = triplet_faded(post_trace[k], t, post_decay, post_decay_0) + 1.0f;
            post_slow[k] = triplet_faded(post_slow[k], t, post_slow_decay, post_slow_decay_0) + 1.0f;
            post_tick[k] = (int)tick[0];
            post_sub[k] = (unsigned char)sub;
        }
    }
}
