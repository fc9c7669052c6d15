// deliver_spikes: GPU twin of systems/deliver_spikes.py. One warp per spike, one lane per synapse: a parcel is the
// 8 bytes it needs to know of one. All are sent before the second kernel takes out what is due, one thread per neuron.
// threads: 32768
extern "C" __global__ void __launch_bounds__(128) deliver_spikes(
    int n, const long long* tick, const long long* own, const long long* bounds, const int* ids,
    const long long* count, const int* start, const int* span, const unsigned long long* parcel, int* ring,
    int* arrived, long long* saturated, int start_1, int ring_0, int ring_1)
{
    int lane = threadIdx.x & 31, warps = gridDim.x * blockDim.x >> 5;
    unsigned mask = ring_0 - 1, since = (unsigned)(tick[0] - 1) & mask;
    for (int s = (blockIdx.x * blockDim.x + threadIdx.x) >> 5; s < count[0]; s += warps) {
        const int* row = start + (long long)ids[s] * start_1;
        for (int j = row[0] + lane; j < row[start_1 - 1]; j += 32) {
            unsigned word = (unsigned)parcel[j];
            atomicAdd(ring + (long long)((since + (word >> 24)) & mask) * ring_1 + (word & 0xFFFFFFu),
                      (int)(parcel[j] >> 32));
        }
    }
}

// threads: ring_1
extern "C" __global__ void __launch_bounds__(256) deliver_spikes_take(
    int n, const long long* tick, const long long* own, const long long* bounds, const int* ids,
    const long long* count, const int* start, const int* span, const unsigned long long* parcel, int* ring,
    int* arrived, long long* saturated, int start_1, int ring_0, int ring_1)
{
    int* due = ring + (tick[0] & (ring_0 - 1)) * ring_1;
    const int limit = 1 << 30;
    for (int k = blockIdx.x * blockDim.x + threadIdx.x; k < ring_1; k += gridDim.x * blockDim.x) {
        bool over = (unsigned)due[k] > (unsigned)limit;  // a sum that wrapped to negative is a large unsigned number
        arrived[k] = over ? limit : due[k];
        if (over) atomicAdd((unsigned long long*)saturated, 1ull);  // counted for the first part
        due[k] = 0;
    }
}
