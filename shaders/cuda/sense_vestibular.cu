// sense_vestibular: GPU twin of systems/sense_vestibular.py. One thread per group of afferents.
// threads: n
extern "C" __global__ void __launch_bounds__(64) sense_vestibular(
    int n, const double* sensors, const float* spread, const int* sensor, const float* scale, const float* limit,
    const float* gain, const float* fast_step, const float* slow_step, const int* first, const int* count,
    double* fast, double* slow, float* sense)
{
    for (int g = blockIdx.x * blockDim.x + threadIdx.x; g < n; g += gridDim.x * blockDim.x) {
        double motion = sensors[sensor[g]] * scale[g];
        motion = motion > -limit[g] ? motion : -limit[g];
        motion = motion < limit[g] ? motion : limit[g];
        fast[g] += fast_step[g] * (motion - fast[g]);
        slow[g] += slow_step[g] * (fast[g] - slow[g]);
        float drive = (float)(gain[g] * (fast[g] - slow[g]));
        for (int k = first[g]; k < first[g] + count[g]; k++) sense[k] = drive - spread[k];  // mV
    }
}
