// collect_spikes: GPU twin of systems/collect_spikes.py. One block: each thread counts the spikes of a stretch of
// neurons, a running sum over the threads says where it writes them, so the list is ascending without sorting.
// threads: 1024
extern "C" __global__ void __launch_bounds__(1024) collect_spikes(
    int n, const long long* tick, const unsigned char* fired, int* ids, long long* count, int* log_ids,
    int* log_ticks, unsigned char* log_substeps, long long* log_count, int fired_0, int log_ids_0)
{
    __shared__ int upto[1024];
    int t = threadIdx.x;
    int stretch = (fired_0 / 8 + blockDim.x) / blockDim.x * 8;  // neurons per thread, a whole number of words
    int begin = t * stretch < fired_0 ? t * stretch : fired_0;
    int end = fired_0 - begin < stretch ? fired_0 : begin + stretch;
    int found = 0;
    for (int k = begin; k < end; k += 8) {
        if (k + 8 <= end && *(const unsigned long long*)(fired + k) == 0) continue;  // eight at a time
        for (int j = k; j < k + 8 && j < end; j++) found += fired[j] != 0;
    }
    upto[t] = found;
    __syncthreads();
    for (int step = 1; step < blockDim.x; step *= 2) {
        int more = t >= step ? upto[t - step] : 0;
        __syncthreads();
        upto[t] += more;
        __syncthreads();
    }
    int total = upto[blockDim.x - 1], place = upto[t] - found;
    long long at = log_count[0], room = log_ids_0 - at;
    for (int k = begin; found && k < end; k++) {
        if (!fired[k]) continue;
        ids[place] = k;
        if (place < room) {
            log_ids[at + place] = k;
            log_ticks[at + place] = (int)tick[0];
            log_substeps[at + place] = fired[k];
        }
        place++;
        found--;
    }
    __syncthreads();  // all know where the log began
    if (t == 0) {
        long long kept = total < room ? total : room;
        count[0] = total;
        log_count[0] = at + kept;
        log_count[1] += total - kept;
    }
}
