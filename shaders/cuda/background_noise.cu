// background_noise: GPU twin of systems/background_noise.py. One thread per block of sixteen neurons, which no other
// block touches; Philox4x32-7 in registers, keyed as on the CPU (engine/draws.py).
// threads: n

struct Draw { unsigned w0, w1, w2, w3; };

static __device__ Draw philox4x32(unsigned k0, unsigned k1, unsigned c0, unsigned c1, unsigned c2, unsigned c3)
{
    for (int round = 0; round < 7; round++) {
        unsigned high0 = __umulhi(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
        unsigned high1 = __umulhi(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
        c0 = high1 ^ c1 ^ k0;
        c1 = low1;
        c2 = high0 ^ c3 ^ k1;
        c3 = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    Draw drawn = {c0, c1, c2, c3};
    return drawn;
}

extern "C" __global__ void __launch_bounds__(64) background_noise(
    int n, const long long* tick, const long long* own, const int* first, const int* count,
    const unsigned* key0, const unsigned* key1, const unsigned* index, const int* rate_class, const int* psp,
    const int* threshold, const int* part, int* ampa, int threshold_1)
{
    unsigned low = (unsigned)tick[0], high = (unsigned)(tick[0] >> 32);
    for (int row = blockIdx.x * blockDim.x + threadIdx.x; row < n; row += gridDim.x * blockDim.x) {
        unsigned k0 = key0[row], k1 = key1[row], block = index[row];
        Draw drawn = philox4x32(k0, k1, low, high, block, 0);
        int u = (int)(drawn.w0 ^ 0x80000000u);  // minus 2^31
        const int* below = threshold + (long long)rate_class[row] * threshold_1;
        int events = 0;
        while (events < threshold_1 && u > below[events]) events++;
        unsigned long long places = drawn.w1 | (unsigned long long)drawn.w2 << 32;  // four bits per event
        for (int q = 0; q < events; q++) {
            if (q == 15) places = drawn.w3;
            if (q >= 23 && (q - 23) % 8 == 0) places = philox4x32(k0, k1, low, high, block, q).w0;
            int place = places & 15;
            places >>= 4;
            if (place < count[row]) ampa[first[row] + place] += psp[row];
        }
    }
}
