// sense_light: GPU twin of systems/sense_light.py. One thread per group of ganglion cells.
// threads: n
extern "C" __global__ void __launch_bounds__(32) sense_light(
    int n, const long long* tick, const double* sensors, const float* spread, const double* ambient,
    const double* ahead, const double* panel, const double* blobs, const int* sensor, const int* left, const int* top,
    const int* wide, const float* sign, const float* gain, const float* adapt_step, const int* first,
    const int* count, double* adapted, float* sense, int blobs_0)
{
    const double PITCH = 0.21, NEAREST = 0.1;
    double luminance = panel[0], start = panel[1], way = panel[2] - panel[1], elevation = panel[4];
    double azimuth = start;
    if (way != 0.0 && panel[3] > 0.0) {
        double gone = panel[3] * ((double)tick[0] - panel[7]);  // in ways, there and back
        long long laps = (long long)gone;
        gone -= (double)laps;
        if (laps % 2 == 1) gone = 1.0 - gone;
        azimuth = start + way * gone;
    }
    double q = azimuth * azimuth;
    double sa = azimuth * (1.0 - q / 6.0 * (1.0 - q / 20.0 * (1.0 - q / 42.0 * (1.0 - q / 72.0))));
    double ca = 1.0 - q / 2.0 * (1.0 - q / 12.0 * (1.0 - q / 30.0 * (1.0 - q / 56.0)));
    q = elevation * elevation;
    double se = elevation * (1.0 - q / 6.0 * (1.0 - q / 20.0 * (1.0 - q / 42.0 * (1.0 - q / 72.0))));
    double ce = 1.0 - q / 2.0 * (1.0 - q / 12.0 * (1.0 - q / 30.0 * (1.0 - q / 56.0)));
    double axes[3][3] = {{ca * ce, sa * ce, se}, {-sa, ca, 0.0}, {-ca * se, -sa * se, ce}};
    for (int g = blockIdx.x * blockDim.x + threadIdx.x; g < n; g += gridDim.x * blockDim.x) {
        double seen[3][3];
        double light = ambient[0], used = adapted[g];
        adapted[g] = used + adapt_step[g] * (light - used);
        double plain = sign[g] * ((light - used) / (light + used));
        bool shows = luminance > 0.0 && wide[g] > 0;
        if (shows) {
            int s = sensor[g];
            double aw = ahead[0], ax = ahead[1], ay = ahead[2], az = ahead[3];
            double ew = sensors[s], ex = -sensors[s + 1], ey = -sensors[s + 2], ez = -sensors[s + 3];
            double w = ew * aw - ex * ax - ey * ay - ez * az;
            double x = ew * ax + ex * aw + ey * az - ez * ay;
            double y = ew * ay - ex * az + ey * aw + ez * ax;
            double z = ew * az + ex * ay - ey * ax + ez * aw;
            for (int k = 0; k < 3; k++) {
                double u = axes[k][0], v = axes[k][1], t = axes[k][2];
                seen[k][0] = u + 2.0 * (y * (x * v - y * u) - z * (z * u - x * t) + w * (y * t - z * v));
                seen[k][1] = v + 2.0 * (z * (y * t - z * v) - x * (x * v - y * u) + w * (z * u - x * t));
                seen[k][2] = t + 2.0 * (x * (z * u - x * t) - y * (y * t - z * v) + w * (x * v - y * u));
            }
        }
        for (int k = 0; k < count[g]; k++) {
            double contrast = plain;
            if (shows) {
                double across = (3.5 - (double)(left[g] + k % wide[g])) * PITCH;
                double upward = (3.5 - (double)(top[g] + k / wide[g])) * PITCH;
                double depth = seen[0][0] + across * seen[0][1] + upward * seen[0][2];
                if (depth > NEAREST) {
                    double a = (seen[1][0] + across * seen[1][1] + upward * seen[1][2]) / depth;
                    double b = (seen[2][0] + across * seen[2][1] + upward * seen[2][2]) / depth;
                    double broad = (panel[5] - (a < 0.0 ? -a : a)) / PITCH + 0.5;
                    double high = (panel[6] - (b < 0.0 ? -b : b)) / PITCH + 0.5;
                    double inside = broad < 0.0 ? 0.0 : broad > 1.0 ? 1.0 : broad;
                    inside *= high < 0.0 ? 0.0 : high > 1.0 ? 1.0 : high;
                    double dark = 0.0;
                    for (int j = 0; j < blobs_0; j++) {
                        const double* blob = blobs + 4 * j;
                        if (blob[2] > 0.0) {
                            double da = a - blob[0], db = b - blob[1];
                            double away = (da * da + db * db) / (blob[2] * blob[2]);
                            double more = blob[3] * (1.0 - away);
                            dark += more > 0.0 ? more : 0.0;
                        }
                    }
                    double here = light * (1.0 + inside * (luminance * (1.0 - (dark < 1.0 ? dark : 1.0)) - 1.0));
                    contrast = sign[g] * ((here - used) / (here + used));
                }
            }
            sense[first[g] + k] = (float)(gain[g] * (contrast > 0.0 ? contrast : 0.0)) - spread[first[g] + k];  // mV
        }
    }
}
