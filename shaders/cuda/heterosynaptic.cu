// heterosynaptic: GPU twin of systems/heterosynaptic.py. One warp per spiking target, one lane per synapse.
// threads: 8192
extern "C" __global__ void __launch_bounds__(128) heterosynaptic(
    int n, const unsigned char* on, const int* ids, const long long* count, const int* span, const int* incoming,
    const int* row, const float* pull, float* weight)
{
    int lane = threadIdx.x & 31, warps = gridDim.x * blockDim.x >> 5;
    for (int s = (blockIdx.x * blockDim.x + threadIdx.x) >> 5; s < count[0]; s += warps) {
        int k = ids[s] - span[2];
        if (k < 0 || k >= span[3]) continue;
        for (int r = incoming[k] + lane; r < incoming[k + 1]; r += 32) {
            int j = row[r];
            weight[j] = weight[j] + pull[0] * (pull[1] - weight[j]);  // mV
        }
    }
}
