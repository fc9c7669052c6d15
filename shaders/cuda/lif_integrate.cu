// lif_integrate: GPU twin of systems/lif_integrate.py. One block per run of at most 256 alike neurons, one thread per
// neuron: a run's constants are read once for all. A neuron near threshold takes its substeps in registers.
// threads: 256 * (run_0 - 1)
extern "C" __global__ void __launch_bounds__(256) lif_integrate(
    int n, const long long* substeps, const long long* own, const int* part, const int* run,
    const float* constants, const float* drive, const float* threshold, const float* n_decay, const float* n_jump, const float* a_decay,
    const float* a_step, float* v, float* refractory_left, unsigned char* fired, float* e, int* e_arrived, float* i,
    int* i_arrived, float* s, int* s_arrived, float* n_i, float* a_w, int run_0, int constants_1)
{
    // as in systems/lif_integrate.py
    enum { DT, ED, EK, EA, EL, ID, IK, IA, IL, SD, SK, SA, SL, FD, FRE, FRF, FED, FEK, FEJ, FID, FIK, FIJ, FSD, FSK,
           FSJ };
    const float tiny = 1e-12f;
    for (int r = blockIdx.x; r < run_0 - 1; r += gridDim.x) {
        const float* c = constants + (long long)r * constants_1;
        for (int k = run[r] + threadIdx.x; k < run[r + 1]; k += blockDim.x) {
            float u = v[k], ge = e[k], gi = i[k], gs = s ? s[k] : 0.0f, left = refractory_left[k], towards = drive[k];
            float ae = e_arrived[k], ai = i_arrived[k], as = s ? s_arrived[k] : 0;
            if (n_i) {
                float slow = n_i[k] * n_decay[k] + ae * n_jump[k];
                n_i[k] = slow;
                towards = towards + slow;
            }
            float w = 0.0f;
            if (a_w) {
                w = a_w[k];
                towards = towards - w;
                w = w * a_decay[k];
                w = w > tiny ? w : 0.0f;
            }
            float free = u * c[DT] + towards * (1.0f - c[DT]);
            float up = ge * c[EK] + ae * c[EA];
            unsigned char stamped = 0;
            if ((u > free ? u : free) + up < threshold[k] && left <= 0.0f) {  // far from a spike: one exact step
                float down = gi * c[IK] + ai * c[IA];
                if (s) down = down + (gs * c[SK] + as * c[SA]);
                u = free + up - down;
                u = u > tiny || u < 0.0f - tiny ? u : 0.0f;
                ge = ge * c[ED] + ae * c[EL];
                gi = gi * c[ID] + ai * c[IL];
                gs = gs * c[SD] + as * c[SL];
                ge = ge > tiny ? ge : 0.0f;
                gi = gi > tiny ? gi : 0.0f;
                gs = gs > tiny ? gs : 0.0f;
            } else {
                float d = c[FD], pull = towards * (1.0f - c[FD]);
                ae = ae * c[FEJ];
                ai = ai * c[FIJ];
                as = s ? as * c[FSJ] : 0.0f;
                for (int step = 1; step <= substeps[0]; step++) {
                    float x = pull + u * d + ge * c[FEK] - gi * c[FIK] - gs * c[FSK];
                    ge = ge * c[FED] + ae;
                    gi = gi * c[FID] + ai;
                    gs = gs * c[FSD] + as;
                    x = left <= 0.0f ? x : c[FRE];  // a held neuron sits at reset, below threshold
                    bool hit = x >= threshold[k];
                    if (hit) stamped = step;
                    u = hit ? c[FRE] : x;
                    left = (hit ? c[FRF] : left) - 1.0f;
                }
                refractory_left[k] = left > 0.0f ? left : 0.0f;
                if (a_w && stamped) w += a_step[k];
            }
            v[k] = u;
            e[k] = ge;
            i[k] = gi;
            e_arrived[k] = 0;
            i_arrived[k] = 0;
            if (s) {
                s[k] = gs;
                s_arrived[k] = 0;
            }
            if (a_w) a_w[k] = w;
            fired[k] = stamped;
        }
    }
}
