// sum_drive: GPU twin of systems/sum_drive.py. One thread per neuron.
// threads: n
extern "C" __global__ void __launch_bounds__(256) sum_drive(
    int n, const long long* own, const int* part, const int* run, const float* tonic, const float* stimulus,
    const float* sense, float* drive)
{
    for (int k = blockIdx.x * blockDim.x + threadIdx.x; k < n; k += gridDim.x * blockDim.x)
        drive[k] = tonic[k] + stimulus[k] + sense[k];  // mV
}
