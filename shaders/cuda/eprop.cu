// eprop: GPU twin of systems/eprop.py. One thread makes the errors; then one thread per source, per target, per synapse.
// threads: 1

static __device__ float eprop_filtered(float rate, const int* cells, const unsigned char* fired, float decay)
{
    int spikes = 0;
    for (int c = cells[0]; c < cells[0] + cells[1]; c++) spikes += fired[c] != 0;
    return rate * decay + (float)spikes * ((1.0f - decay) * 1000.0f) / (float)(cells[1] > 1 ? cells[1] : 1);  // Hz
}

extern "C" __global__ void __launch_bounds__(32) eprop(
    int n, const unsigned char* on, const long long* tick, const unsigned char* fired, const float* v,
    const float* threshold, const int* post, const unsigned char* delay, const int* source, const int* span,
    const float* psp, const float* adaptation, const float* step, const float* rates, const int* answer,
    const int* teacher, const float* feedback, float* weight, float* filtered, float* adapted, float* held,
    float* level, float* error, float* drive, float* trace, float* hz, float* slope, float* signal, int error_0,
    int trace_1)
{
    if (blockIdx.x != 0 || threadIdx.x != 0) return;
    float taught = 0.0f;
    for (int k = 0; k < error_0; k++) {
        level[k] = eprop_filtered(level[k], answer + 2 * k, fired, step[2]);
        level[error_0 + k] = eprop_filtered(level[error_0 + k], teacher + 2 * k, fired, step[2]);
        taught = taught + level[error_0 + k];
    }
    for (int k = 0; k < error_0; k++)
        error[k] = taught > 0.1f * step[3] ? (level[error_0 + k] - level[k]) / step[3] : 0.0f;
}

// threads: 8192
extern "C" __global__ void __launch_bounds__(128) eprop_sources(
    int n, const unsigned char* on, const long long* tick, const unsigned char* fired, const float* v,
    const float* threshold, const int* post, const unsigned char* delay, const int* source, const int* span,
    const float* psp, const float* adaptation, const float* step, const float* rates, const int* answer,
    const int* teacher, const float* feedback, float* weight, float* filtered, float* adapted, float* held,
    float* level, float* error, float* drive, float* trace, float* hz, float* slope, float* signal, int error_0,
    int trace_1)
{
    for (int p = blockIdx.x * blockDim.x + threadIdx.x; p < span[1]; p += gridDim.x * blockDim.x) {
        float arrived = fired[span[0] + p] != 0 ? 1.0f : 0.0f;
        float* row = trace + (long long)p * trace_1;
        float before = row[(tick[0] - 1) & (trace_1 - 1)];
        row[tick[0] & (trace_1 - 1)] = before * psp[1] + drive[p] * psp[2] + arrived * psp[3];
        drive[p] = drive[p] * psp[0] + arrived * psp[4];
    }
}

// threads: 8192
extern "C" __global__ void __launch_bounds__(128) eprop_targets(
    int n, const unsigned char* on, const long long* tick, const unsigned char* fired, const float* v,
    const float* threshold, const int* post, const unsigned char* delay, const int* source, const int* span,
    const float* psp, const float* adaptation, const float* step, const float* rates, const int* answer,
    const int* teacher, const float* feedback, float* weight, float* filtered, float* adapted, float* held,
    float* level, float* error, float* drive, float* trace, float* hz, float* slope, float* signal, int error_0,
    int trace_1)
{
    for (int k = blockIdx.x * blockDim.x + threadIdx.x; k < span[3]; k += gridDim.x * blockDim.x) {
        int c = span[2] + k;
        int spike = fired[c] != 0;
        hz[k] = hz[k] * rates[0] + (spike ? rates[1] : 0.0f);
        float away = v[c] - threshold[c];
        float near = 1.0f - (away < 0.0f ? -away : away) / threshold[c];
        slope[k] = step[1] * (spike ? 1.0f : near > 0.0f ? near : 0.0f);
        float total = 0.0f;
        for (int o = 0; o < error_0; o++) total = total + feedback[(long long)k * error_0 + o] * error[o];
        signal[k] = total;
    }
}

// threads: n
extern "C" __global__ void __launch_bounds__(128) eprop_synapses(
    int n, const unsigned char* on, const long long* tick, const unsigned char* fired, const float* v,
    const float* threshold, const int* post, const unsigned char* delay, const int* source, const int* span,
    const float* psp, const float* adaptation, const float* step, const float* rates, const int* answer,
    const int* teacher, const float* feedback, float* weight, float* filtered, float* adapted, float* held,
    float* level, float* error, float* drive, float* trace, float* hz, float* slope, float* signal, int error_0,
    int trace_1)
{
    for (int j = blockIdx.x * blockDim.x + threadIdx.x; j < n; j += gridDim.x * blockDim.x) {
        int k = post[j] - span[2];
        float past = trace[(long long)source[j] * trace_1 + ((tick[0] - delay[j]) & (trace_1 - 1))];
        float e = slope[k] * (past - held[j]);
        held[j] = held[j] * psp[1] + adapted[j] * (1.0f - psp[1]);
        adapted[j] = adapted[j] * adaptation[0] + adaptation[1] * e;
        filtered[j] = filtered[j] * step[2] + e;
        float regular = rates[3] * (1.0f - hz[k] / rates[2]);
        float w = weight[j] + step[0] * (signal[k] * filtered[j] + regular * e);
        w = w > 0.0f ? w : 0.0f;
        weight[j] = w < step[4] ? w : step[4];  // mV
    }
}
