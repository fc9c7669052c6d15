// swallow: GPU twin of systems/swallow.py. One thread: pools share the mouth.
// threads: 1
extern "C" __global__ void __launch_bounds__(32) swallow(
    int n, const double* sensors, const unsigned char* fired, const double* offered, const int* opener_sensor,
    const int* nipple_sensor, const int* first, const int* count, const float* decay, const float* twitch,
    const float* empties, double* mouth, double* stomach, float* activation)
{
    if (blockIdx.x * blockDim.x + threadIdx.x != 0) return;
    for (int g = 0; g < n; g++) {
        if (sensors[nipple_sensor[g]] > 0.05 && sensors[opener_sensor[g]] < 0.0) {
            double filled = mouth[0] - offered[0] * sensors[opener_sensor[g]] * 0.001;
            mouth[0] = filled < 2.0 ? filled : 2.0;  // mL
        }
        int spikes = 0;
        for (int k = first[g]; k < first[g] + count[g]; k++) spikes += fired[k] != 0;
        float a = activation[g] * decay[g] + (float)spikes * twitch[g] / (float)count[g];
        a = a < 1.0f ? a : 1.0f;
        if (a < 1e-9f) a = 0.0f;
        activation[g] = a;
        double moved = (double)(empties[g] * a);
        moved = moved < mouth[0] ? moved : mouth[0];
        mouth[0] -= moved;
        stomach[0] += moved;
    }
}
