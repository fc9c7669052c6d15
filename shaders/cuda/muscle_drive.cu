// muscle_drive: GPU twin of systems/muscle_drive.py. One thread per actuator: it takes its muscles in ascending order,
// since sums of floats depend on it.
// threads: ctrl_0
extern "C" __global__ void __launch_bounds__(32) muscle_drive(
    int n, const unsigned char* fired, const int* pool_first, const int* pool_count, const int* more_first,
    const int* more_count, const float* decay, const float* twitch, const int* actuator, const float* ctrl_gain,
    float* activation, double* ctrl, int ctrl_0)
{
    for (int u = blockIdx.x * blockDim.x + threadIdx.x; u < ctrl_0; u += gridDim.x * blockDim.x) {
        double sum = 0.0;
        for (int m = 0; m < n; m++) {
            if (actuator[m] != u) continue;
            int size = 0;  // summed over the spikes, in units of 1 / count of the mean twitch
            for (int k = 0; k < pool_count[m]; k++)
                if (fired[pool_first[m] + k]) size += 2 * k + 1;
            float a = activation[m] * decay[m] + (float)size * twitch[m] / (float)pool_count[m];
            if (more_count[m] > 0) {
                size = 0;
                for (int k = 0; k < more_count[m]; k++)
                    if (fired[more_first[m] + k]) size += 2 * k + 1;
                a += (float)size * twitch[m] / (float)more_count[m];
            }
            a = a < 1.0f ? a : 1.0f;
            if (a < 1e-9f) a = 0.0f;
            activation[m] = a;
            sum += ctrl_gain[m] * a;
        }
        ctrl[u] = sum;
    }
}
