// Counts activations per bin in the shared memory of a GPU, and prunes them on the way.
//
// Written for NVRTC. Given by the host: BITS (16 or 32, of the type), FRACTION_BITS, LOW_BITS and
// COUNT_AT (how a word is divided), WORDS (1 or 2), COPIES (a power of two), THREADS,
// BLOCKS (that a multiprocessor has at a time), ROUNDS, PRUNE.
//
// A bin is WORDS 32-bit words. The first holds a count above the sum of the low fraction bits, the
// second the sum of the others. Every bin has COPIES copies, one per lane of a warp if there are 32:
// they lie in different banks, so that lanes never wait for each other, whatever they count. Before
// a word can be full, which the host works out as ROUNDS, all are added to the result and cleared.

typedef unsigned int u32;
typedef unsigned long long u64;

#if BITS == 16
typedef unsigned short Pattern;
#else
typedef unsigned int Pattern;
#endif

#define MAGNITUDE ((1u << (BITS - 1)) - 1u)
#define FRACTION ((1u << FRACTION_BITS) - 1u)
#define NOT_FINITE ((MAGNITUDE >> FRACTION_BITS) << FRACTION_BITS)
#define LOW ((1u << LOW_BITS) - 1u)
#define ONE (1u << COUNT_AT)
#define VECTOR (128 / BITS)

struct Job {
    const Pattern *bits;  // (n,) of activations
    Pattern *out;         // (n,) for the pruned ones, if PRUNE
    u64 *counts;          // (size,)
    u64 *sums;            // (size,)
    const u32 *carry;     // (cells,)
    u32 n;
    u32 vectors;  // of 16 bytes, from the first activation on; 0 if they are not aligned
    u32 keep;     // first pattern that survives pruning
    u32 size;     // bins
    u32 cells;
    u32 shift;  // bits of a pattern within its cell
    int base;   // number of the first cell
};

extern __shared__ u32 shared[];

struct Counter {
    u32 *first, *second;
    const u32 *carry;
    u32 shift, within, last, keep, lane;
    int base;
    u32 zeros;

    __device__ __forceinline__ u32 add(u32 v) {
        u32 b = v & MAGNITUDE;
        if (b) {
            int cell = (int)(b >> shift) - base;
            cell = cell < 0 ? 0 : cell;
            cell = cell > (int)last ? (int)last : cell;
            // Powers of two are counted by the exponent, thresholds by the carry into the next cell.
            u32 k = (b >> FRACTION_BITS) + 1u + (b > NOT_FINITE);
            k += ((b & within) + carry[cell]) >> shift;
            u32 f = b & FRACTION;
            atomicAdd(first + (k * COPIES + lane), (f & LOW) + ONE);
#if WORDS == 2
            atomicAdd(second + (k * COPIES + lane), f >> LOW_BITS);
#endif
        } else {
            zeros += 1;
        }
        return b >= keep ? v : 0u;
    }

    __device__ __forceinline__ u32 pair(u32 v) {
#if BITS == 16
        u32 low = add(v & 0xffffu);
        return low | add(v >> 16) << 16;
#else
        return add(v);
#endif
    }

    __device__ __forceinline__ uint4 four(uint4 v) {
        v.x = pair(v.x);
        v.y = pair(v.y);
        v.z = pair(v.z);
        v.w = pair(v.w);
        return v;
    }

    // Add all words to the result, and clear them.
    __device__ void settle(const Job &job) {
        atomicAdd(first + lane, zeros * ONE);
        zeros = 0;
        __syncthreads();
        for (u32 k = threadIdx.x; k < job.size; k += THREADS) {
            u64 count = 0, sum = 0;
            for (u32 copy = 0; copy < COPIES; copy++) {
                u32 at = k * COPIES + ((copy + threadIdx.x) & (COPIES - 1u));
                u32 word = first[at];
                first[at] = 0;
                count += word >> COUNT_AT;
                sum += word & (ONE - 1u);
#if WORDS == 2
                sum += (u64)second[at] << LOW_BITS;
                second[at] = 0;
#endif
            }
            if (count) {
                atomicAdd(job.counts + k, count);
                if (sum) atomicAdd(job.sums + k, sum);
            }
        }
        __syncthreads();
    }
};

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) count(const Job job) {
    u32 words = job.size * COPIES;
    u32 *carry = shared + WORDS * words;
    for (u32 i = threadIdx.x; i < WORDS * words; i += THREADS) shared[i] = 0;
    for (u32 i = threadIdx.x; i < job.cells; i += THREADS) carry[i] = job.carry[i];
    __syncthreads();
    Counter c;
    c.first = shared;
    c.second = shared + (WORDS - 1) * words;
    c.carry = carry;
    c.shift = job.shift;
    c.within = (1u << job.shift) - 1u;
    c.last = job.cells - 1u;
    c.keep = job.keep;
    c.base = job.base;
    c.lane = threadIdx.x & (COPIES - 1u);
    c.zeros = 0;

    const uint4 *in = (const uint4 *)job.bits;
    uint4 *out = (uint4 *)job.out;
    u32 stride = gridDim.x * THREADS, round = 0;
    // Every thread of a block goes round as often: they settle together.
    for (u32 start = blockIdx.x * THREADS; start < job.vectors; start += 2u * stride) {
        u32 i = start + threadIdx.x, j = i + stride;
        bool has_i = i < job.vectors, has_j = j < job.vectors;
        uint4 v, w;
        if (has_i) v = in[i];
        if (has_j) w = in[j];
        if (has_i) {
            v = c.four(v);
            if (PRUNE) out[i] = v;
        }
        if (has_j) {
            w = c.four(w);
            if (PRUNE) out[j] = w;
        }
        if (++round == ROUNDS) {
            c.settle(job);
            round = 0;
        }
    }
    for (u32 start = job.vectors * VECTOR + blockIdx.x * THREADS; start < job.n; start += stride) {
        u32 i = start + threadIdx.x;
        if (i < job.n) {
            Pattern kept = (Pattern)c.add(job.bits[i]);
            if (PRUNE) job.out[i] = kept;
        }
        if (++round == ROUNDS) {
            c.settle(job);
            round = 0;
        }
    }
    c.settle(job);
}
