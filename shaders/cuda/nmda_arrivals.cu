// nmda_arrivals: GPU twin of systems/nmda_arrivals.py. One thread per neuron.
// threads: n
extern "C" __global__ void __launch_bounds__(256) nmda_arrivals(
    int n, const long long* own, const int* part, const int* run, const float* jump, float* i, int* arrived)
{
    for (int k = blockIdx.x * blockDim.x + threadIdx.x; k < n; k += gridDim.x * blockDim.x) {
        i[k] += (float)arrived[k] * jump[k];  // mV
        arrived[k] = 0;
    }
}
