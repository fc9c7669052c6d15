// sense_spindles: GPU twin of systems/sense_muscles.py. One thread per afferent group; square roots round alike
// everywhere.
// threads: n
extern "C" __global__ void __launch_bounds__(64) sense_spindles(
    int n, const double* sensors, const float* spread, const int* length_sensor, const int* velocity_sensor,
    const float* rest_length, const float* length_range, const float* length_gain, const float* velocity_gain,
    const int* first, const int* count, float* sense)
{
    for (int g = blockIdx.x * blockDim.x + threadIdx.x; g < n; g += gridDim.x * blockDim.x) {
        double stretch = (sensors[length_sensor[g]] - rest_length[g]) / length_range[g];
        double speed = sensors[velocity_sensor[g]] / length_range[g];
        double drive = length_gain[g] * stretch;
        if (speed > 0.0) {
            double root = sqrt(speed);
            drive += velocity_gain[g] * root * sqrt(sqrt(root));
        } else if (speed < 0.0) {
            drive += velocity_gain[g] * (speed > -1.0 ? speed : -1.0);
        }
        for (int k = first[g]; k < first[g] + count[g]; k++) sense[k] = (float)drive - spread[k];  // mV
    }
}
