// host_shim.h: enough of CUDA C++ to run shaders/cuda/*.cu on the host, where there is no GPU (tools/cuda_shim.py).
// Grids run block by block and thread by thread, forwards or backwards. A kernel that calls __syncthreads runs the
// threads of a block as fibers; warp operations are not offered. Indices are one-dimensional, shared memory static.
#pragma once
#include <cmath>
#include <cstdlib>
#include <ucontext.h>

#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(threads)

struct Index { unsigned x; };
static Index threadIdx, blockIdx, blockDim, gridDim;

static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }

template <class T> static inline T atomicAdd(T* at, T more)
{
    T before = *at;
    *at = (T)((unsigned long long)before + (unsigned long long)more);  // wraps, as on the device
    return before;
}

struct Shape { int blocks, threads, backwards; };

template <class Body> static void run_threads(const Shape& shape, Body body)
{
    gridDim.x = shape.blocks;
    blockDim.x = shape.threads;
    for (int b = 0; b < shape.blocks; b++)
        for (int t = 0; t < shape.threads; t++) {
            blockIdx.x = shape.backwards ? shape.blocks - 1 - b : b;
            threadIdx.x = shape.backwards ? shape.threads - 1 - t : t;
            body();
        }
}

// fibers: all threads of a block run up to a barrier before any goes on
struct Fiber { ucontext_t context; char* stack; bool ended; };
static ucontext_t scheduler;
static Fiber* running;
static void (*fiber_body)(void*);
static void* fiber_argument;
static const int FIBERS = 1024, STACK = 1 << 14;
static Fiber fibers[FIBERS];

static void fiber_start() { fiber_body(fiber_argument); running->ended = true; }
static inline void __syncthreads() { swapcontext(&running->context, &scheduler); }

template <class Body> static void run_fibers(const Shape& shape, Body body)
{
    gridDim.x = shape.blocks;
    blockDim.x = shape.threads;
    fiber_body = [](void* argument) { (*(Body*)argument)(); };
    fiber_argument = &body;
    for (int b = 0; b < shape.blocks; b++) {
        blockIdx.x = b;
        for (int t = 0; t < shape.threads; t++) {
            Fiber& fiber = fibers[t];
            if (!fiber.stack) fiber.stack = (char*)malloc(STACK);
            fiber.ended = false;
            getcontext(&fiber.context);
            fiber.context.uc_stack.ss_sp = fiber.stack;
            fiber.context.uc_stack.ss_size = STACK;
            fiber.context.uc_link = &scheduler;
            makecontext(&fiber.context, fiber_start, 0);
        }
        for (bool more = true; more;) {
            more = false;
            for (int q = 0; q < shape.threads; q++) {
                int t = shape.backwards ? shape.threads - 1 - q : q;
                if (fibers[t].ended) continue;
                running = &fibers[t];
                threadIdx.x = t;
                swapcontext(&scheduler, &running->context);
                more = more || !running->ended;
            }
        }
    }
}
