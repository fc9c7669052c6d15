// sense_filling: GPU twin of systems/sense_filling.py. One thread per group of afferents.
// threads: n
extern "C" __global__ void __launch_bounds__(32) sense_filling(
    int n, const double* mouth, const double* stomach, const float* spread, const unsigned char* of_stomach,
    const float* gain, const float* half_volume, const int* first, const int* count, float* sense)
{
    for (int g = blockIdx.x * blockDim.x + threadIdx.x; g < n; g += gridDim.x * blockDim.x) {
        double volume = of_stomach[g] == 1 ? stomach[0] : mouth[0];
        double drive = gain[g] * volume / (volume + half_volume[g]);
        for (int k = first[g]; k < first[g] + count[g]; k++) sense[k] = (float)drive - spread[k];  // mV
    }
}
