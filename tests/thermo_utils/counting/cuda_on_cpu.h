// What a CUDA kernel needs to run on a CPU, one thread of the system per thread of a block.

#include <pthread.h>

#include <thread>
#include <vector>

struct Index {
    unsigned x;
};
struct uint4 {
    unsigned x, y, z, w;
};

#define __device__
#define __forceinline__
#define __global__
#define __shared__
#define __launch_bounds__(...)

static thread_local Index threadIdx, blockIdx, gridDim;
unsigned shared[1 << 20];
static pthread_barrier_t barrier;

static void __syncthreads() { pthread_barrier_wait(&barrier); }

template <class T>
static T atomicAdd(T *at, T value) {
    return __atomic_fetch_add(at, value, __ATOMIC_RELAXED);
}

#include SOURCE

// Shared memory keeps what was there before, as on a GPU.
extern "C" void launch(unsigned blocks, const Job *job) {
    pthread_barrier_init(&barrier, nullptr, THREADS);
    for (unsigned block = 0; block < blocks; block++) {
        std::vector<std::thread> threads;
        for (unsigned i = 0; i < THREADS; i++) threads.emplace_back([=] {
                threadIdx.x = i;
                blockIdx.x = block;
                gridDim.x = blocks;
                count(*job);
            });
        for (auto &thread : threads) thread.join();
    }
    pthread_barrier_destroy(&barrier);
}
