// sense_touch: GPU twin of systems/sense_touch.py. One thread per patch.
// threads: n
extern "C" __global__ void __launch_bounds__(64) sense_touch(
    int n, const double* sensors, const float* spread, const int* sensor, const float* gain, const float* half_force,
    const int* first, const int* count, float* sense)
{
    for (int g = blockIdx.x * blockDim.x + threadIdx.x; g < n; g += gridDim.x * blockDim.x) {
        double force = sensors[sensor[g]];
        force = force > 0.0 ? force : 0.0;
        double drive = gain[g] * force / (force + half_force[g]);
        for (int k = first[g]; k < first[g] + count[g]; k++) sense[k] = (float)drive - spread[k];  // mV
    }
}
