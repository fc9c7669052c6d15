// three_factor: GPU twin of systems/three_factor.py. One thread makes the error; then one warp per spike, as in stdp; the
// fourth kernel brings a sixteenth of the synapses up to date; the last moves traces.
// threads: 1

static __device__ float factor_faded(float trace, long long ticks, const float* decay, int length)
{
    return ticks < length ? trace * decay[ticks] : 0.0f;
}

static __device__ void catch_up(int j, long long now, float* weight, float* trace, int* since, const float* rate,
                                float keep, const float* error)
{
    long long ticks = now - since[j];
    float c = trace[j], w = weight[j];
    since[j] = (int)now;
    if (c == 0.0f) return;
    if (ticks > 16) {
        trace[j] = 0.0f;
        return;
    }
    for (long long u = now - ticks + 1; u <= now; u++) {
        c = c * keep;
        w = w + rate[0] * (c * error[u & 15]);  // mV
    }
    trace[j] = (c > 1e-6f || c < -1e-6f) ? c : 0.0f;
    w = w > 0.0f ? w : 0.0f;
    weight[j] = w < rate[1] ? w : rate[1];
}

extern "C" __global__ void __launch_bounds__(32) three_factor(
    int n, const unsigned char* on, const long long* tick, const unsigned char* fired, const int* ids,
    const long long* count, const int* post, const int* outgoing, const int* source, const int* span,
    const int* incoming, const int* row, const float* step, const float* rate, const float* keep,
    const float* pre_decay, const float* post_decay, const int* by, const float* filter, float* weight, float* trace,
    int* since, float* level, float* error, float* pre_trace, int* pre_tick, float* post_trace, int* post_tick,
    int outgoing_1, int pre_decay_0, int post_decay_0)
{
    if (blockIdx.x != 0 || threadIdx.x != 0) return;
    int spikes = 0;
    for (int k = by[0]; k < by[0] + by[1]; k++) spikes += fired[k] != 0;
    float hz = level[0] * filter[0] + (float)spikes * filter[1];
    float base = hz + (level[1] - hz) * filter[2];
    level[0] = hz;
    level[1] = base;
    error[tick[0] & 15] = hz / (base > filter[3] ? base : filter[3]) - 1.0f;
}

// threads: 8192
extern "C" __global__ void __launch_bounds__(128) three_factor_lose(
    int n, const unsigned char* on, const long long* tick, const unsigned char* fired, const int* ids,
    const long long* count, const int* post, const int* outgoing, const int* source, const int* span,
    const int* incoming, const int* row, const float* step, const float* rate, const float* keep,
    const float* pre_decay, const float* post_decay, const int* by, const float* filter, float* weight, float* trace,
    int* since, float* level, float* error, float* pre_trace, int* pre_tick, float* post_trace, int* post_tick,
    int outgoing_1, int pre_decay_0, int post_decay_0)
{
    int lane = threadIdx.x & 31, warps = gridDim.x * blockDim.x >> 5;
    for (int s = (blockIdx.x * blockDim.x + threadIdx.x) >> 5; s < count[0]; s += warps) {
        if (ids[s] < span[0] || ids[s] >= span[0] + span[1]) continue;
        const int* at = outgoing + (long long)ids[s] * outgoing_1;
        for (int j = at[0] + lane; j < at[outgoing_1 - 1]; j += 32) {
            int k = post[j] - span[2];
            catch_up(j, tick[0], weight, trace, since, rate, keep[0], error);
            trace[j] = trace[j] - step[1] * factor_faded(post_trace[k], tick[0] - post_tick[k], post_decay, post_decay_0);
        }
    }
}

// threads: 8192
extern "C" __global__ void __launch_bounds__(128) three_factor_grow(
    int n, const unsigned char* on, const long long* tick, const unsigned char* fired, const int* ids,
    const long long* count, const int* post, const int* outgoing, const int* source, const int* span,
    const int* incoming, const int* row, const float* step, const float* rate, const float* keep,
    const float* pre_decay, const float* post_decay, const int* by, const float* filter, float* weight, float* trace,
    int* since, float* level, float* error, float* pre_trace, int* pre_tick, float* post_trace, int* post_tick,
    int outgoing_1, int pre_decay_0, int post_decay_0)
{
    int lane = threadIdx.x & 31, warps = gridDim.x * blockDim.x >> 5;
    for (int s = (blockIdx.x * blockDim.x + threadIdx.x) >> 5; s < count[0]; s += warps) {
        int k = ids[s] - span[2];
        if (k < 0 || k >= span[3]) continue;
        for (int r = incoming[k] + lane; r < incoming[k + 1]; r += 32) {
            int j = row[r], p = source[j];
            catch_up(j, tick[0], weight, trace, since, rate, keep[0], error);
            trace[j] = trace[j] + step[0] * factor_faded(pre_trace[p], tick[0] - pre_tick[p], pre_decay, pre_decay_0);
        }
    }
}

// threads: n / 16 + 1
extern "C" __global__ void __launch_bounds__(128) three_factor_sweep(
    int n, const unsigned char* on, const long long* tick, const unsigned char* fired, const int* ids,
    const long long* count, const int* post, const int* outgoing, const int* source, const int* span,
    const int* incoming, const int* row, const float* step, const float* rate, const float* keep,
    const float* pre_decay, const float* post_decay, const int* by, const float* filter, float* weight, float* trace,
    int* since, float* level, float* error, float* pre_trace, int* pre_tick, float* post_trace, int* post_tick,
    int outgoing_1, int pre_decay_0, int post_decay_0)
{
    long long part = tick[0] & 15;
    int first = (int)((long long)n * part / 16), last = (int)((long long)n * (part + 1) / 16);
    for (int j = first + blockIdx.x * blockDim.x + threadIdx.x; j < last; j += gridDim.x * blockDim.x)
        catch_up(j, tick[0], weight, trace, since, rate, keep[0], error);
}

// threads: 1024
extern "C" __global__ void __launch_bounds__(128) three_factor_trace(
    int n, const unsigned char* on, const long long* tick, const unsigned char* fired, const int* ids,
    const long long* count, const int* post, const int* outgoing, const int* source, const int* span,
    const int* incoming, const int* row, const float* step, const float* rate, const float* keep,
    const float* pre_decay, const float* post_decay, const int* by, const float* filter, float* weight, float* trace,
    int* since, float* level, float* error, float* pre_trace, int* pre_tick, float* post_trace, int* post_tick,
    int outgoing_1, int pre_decay_0, int post_decay_0)
{
    for (int s = blockIdx.x * blockDim.x + threadIdx.x; s < count[0]; s += gridDim.x * blockDim.x) {
        int p = ids[s] - span[0], k = ids[s] - span[2];
        if (p >= 0 && p < span[1]) {
            pre_trace[p] = factor_faded(pre_trace[p], tick[0] - pre_tick[p], pre_decay, pre_decay_0) + 1.0f;
            pre_tick[p] = (int)tick[0];
        }
        if (k >= 0 && k < span[3]) {
            post_trace[k] = factor_faded(post_trace[k], tick[0] - post_tick[k], post_decay, post_decay_0) + 1.0f;
            post_tick[k] = (int)tick[0];
        }
    }
}
