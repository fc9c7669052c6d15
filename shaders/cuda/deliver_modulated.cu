// deliver_modulated: GPU twin of systems/deliver_modulated.py. One warp per spike, one lane per synapse; integer
// atomics make the order of arrival irrelevant. A source's rows lie together, so the parts of the CPU are not needed.
// threads: 32768
extern "C" __global__ void __launch_bounds__(128) deliver_modulated(
    int n, const long long* tick, const long long* own, const int* ids, const long long* count, const int* post,
    const float* weight, const unsigned char* delay, const unsigned char* group, const int* start, const int* span,
    const float* gain, int* ring, int start_1, int ring_0, int ring_1)
{
    int lane = threadIdx.x & 31, warps = gridDim.x * blockDim.x >> 5;
    unsigned mask = ring_0 - 1, since = (unsigned)(tick[0] - 1) & mask;
    const float most = 1 << 29;
    for (int s = (blockIdx.x * blockDim.x + threadIdx.x) >> 5; s < count[0]; s += warps) {
        const int* row = start + (long long)ids[s] * start_1;
        for (int j = row[0] + lane; j < row[start_1 - 1]; j += 32) {
            float amount = weight[j] * gain[group[j]] * 65536.0f + 0.5f;  // in 2^-16 mV
            atomicAdd(ring + (long long)((since + delay[j]) & mask) * ring_1 + post[j],
                      (int)(amount < most ? amount : most));
        }
    }
}
