// sense_tendon_organs: GPU twin of systems/sense_muscles.py. One thread per afferent group.
// threads: n
extern "C" __global__ void __launch_bounds__(64) sense_tendon_organs(
    int n, const double* sensors, const float* spread, const int* force_sensor, const float* force_scale,
    const float* gain, const int* first, const int* count, float* sense)
{
    for (int g = blockIdx.x * blockDim.x + threadIdx.x; g < n; g += gridDim.x * blockDim.x) {
        double pull = sensors[force_sensor[g]] * force_scale[g];
        pull = pull > 0.0 ? pull : 0.0;
        for (int k = first[g]; k < first[g] + count[g]; k++) sense[k] = (float)(gain[g] * pull) - spread[k];  // mV
    }
}
