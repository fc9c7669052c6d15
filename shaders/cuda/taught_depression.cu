// taught_depression: GPU twin of systems/taught_depression.py. First one warp per spiking source (traces, recovery);
// its first thread also lists the pupils that teachers' spikes will reach, in the order of the CPU. Then one warp per
// pupil that is reached now; a synapse has one target, so no two warps meet.
// threads: 8192
extern "C" __global__ void __launch_bounds__(128) taught_depression(
    int n, const unsigned char* on, const long long* tick, const int* ids, const long long* count, const int* outgoing,
    const int* source, const int* span, const int* incoming, const int* row, const float* step, const float* per_tick,
    const float* decay, const int* teachers, const int* taught, const int* pupil, const int* delay,
    float* weight, float* first, float* second, int* since, int* due, int outgoing_1, int decay_0, int due_0, int due_1)
{
    int thread = blockIdx.x * blockDim.x + threadIdx.x, lane = threadIdx.x & 31, warps = gridDim.x * blockDim.x >> 5;
    int now = (int)tick[0];
    for (int s = thread >> 5; s < count[0]; s += warps) {
        int p = ids[s] - span[0];
        if (p < 0 || p >= span[1]) continue;
        if (lane == 0) {
            int t = now - since[p];
            float left = t < decay_0 ? decay[t] : 0.0f;
            second[p] = (second[p] + first[p] * ((float)t * per_tick[0])) * left;
            first[p] = first[p] * left + 1.0f;
            since[p] = now;
        }
        const int* at = outgoing + (long long)ids[s] * outgoing_1;
        for (int j = at[0] + lane; j < at[outgoing_1 - 1]; j += 32) {
            float more = weight[j] + step[1];
            weight[j] = more < step[2] ? more : step[2];  // mV
        }
    }
    if (thread > 0) return;
    int from = 0, to = (int)count[0];
    while (from < to) {  // the first spike of a teacher
        int middle = (from + to) / 2;
        if (ids[middle] < teachers[0]) from = middle + 1; else to = middle;
    }
    for (int s = from; s < count[0] && ids[s] < teachers[0] + teachers[1]; s++) {
        int teacher = ids[s] - teachers[0];
        for (int r = taught[teacher]; r < taught[teacher + 1]; r++) {
            int* coming = due + (long long)((now + delay[r]) & (due_0 - 1)) * due_1;
            if (coming[0] != now + delay[r]) {
                coming[0] = now + delay[r];
                coming[1] = 0;
            }
            coming[2 + coming[1]++] = pupil[r];
        }
    }
}

// threads: 8192
extern "C" __global__ void __launch_bounds__(128) taught_depression_arrive(
    int n, const unsigned char* on, const long long* tick, const int* ids, const long long* count, const int* outgoing,
    const int* source, const int* span, const int* incoming, const int* row, const float* step, const float* per_tick,
    const float* decay, const int* teachers, const int* taught, const int* pupil, const int* delay,
    float* weight, float* first, float* second, int* since, int* due, int outgoing_1, int decay_0, int due_0, int due_1)
{
    int lane = threadIdx.x & 31, warps = gridDim.x * blockDim.x >> 5;
    int now = (int)tick[0];
    const int* arrived = due + (long long)(now & (due_0 - 1)) * due_1;
    if (arrived[0] != now) return;
    for (int a = (blockIdx.x * blockDim.x + threadIdx.x) >> 5; a < arrived[1]; a += warps) {
        int k = arrived[2 + a];
        for (int r = incoming[k] + lane; r < incoming[k + 1]; r += 32) {
            int j = row[r], p = source[j], t = now - since[p];
            if (t >= decay_0) continue;
            float eligible = (second[p] + first[p] * ((float)t * per_tick[0])) * decay[t];
            float left = weight[j] - step[0] * eligible;
            weight[j] = left > 0.0f ? left : 0.0f;  // mV
        }
    }
}
