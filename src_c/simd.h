/* Vectors of one precision, with the vector extensions of GCC and Clang. Included once for each precision, as every kernel
 * header is: before it, T is `float` or `double`, BITS its width and NAME(x) x with the precision's suffix.
 *
 * VECTOR_BYTES follows the instruction set of the compilation unit. Loads and stores are unaligned.
 */
#ifndef VECTOR_BYTES
#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
#if defined(__AVX512F__) || defined(__aarch64__)
#define VECTOR_REGISTERS 32
#else
#define VECTOR_REGISTERS 16
#endif

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__x86_64__)
#include <emmintrin.h>
#endif

/* Stores a vector at an address that is a multiple of its size, past the caches, and waits for all such stores. 64 bytes
 * go in halves: 57 MB take 1.1 ms so, and 2.0 as whole vectors (Zen 4). */
#if defined(__AVX512F__)
#define STREAM(p, v)                                                                                                   \
    (_mm256_stream_si256((__m256i *)(p), _mm512_castsi512_si256((__m512i)(v))),                                        \
     _mm256_stream_si256((__m256i *)(p) + 1, _mm512_extracti64x4_epi64((__m512i)(v), 1)))
#elif defined(__AVX2__)
#define STREAM(p, v) _mm256_stream_si256((__m256i *)(p), (__m256i)(v))
#elif defined(__x86_64__)
#define STREAM(p, v) _mm_stream_si128((__m128i *)(p), (__m128i)(v))
#else
#define STREAM(p, v) NAME(store)(p, v)
#endif
#if defined(__x86_64__)
#define AWAIT_STREAMS() _mm_sfence()
#else
#define AWAIT_STREAMS() (void)0
#endif

/* Vectors for which masked instructions serve: none under AddressSanitizer, which does not see what they touch. */
#if defined(__SANITIZE_ADDRESS__)
#define MASKED_BYTES 0
#else
#define MASKED_BYTES VECTOR_BYTES
#endif

/* Asks for what lies so many elements behind p, to be read, or written (write 1), in the cache that `locality` says (3: L1, 2:
 * L2). It may lie outside of p's array, where only integers may be added. */
#define PREFETCH(p, elements, write, locality)                                                                         \
    __builtin_prefetch((const void *)((uintptr_t)(p) + sizeof(T) * (uintptr_t)(elements)), write, locality)

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 32")

/* SHUFFLE(mask type, a, b, indices...): lanes of a and b by constant indices. GCC before 12 has only __builtin_shuffle. */
#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define SHUFFLE(M, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#endif
#endif
#ifndef SHUFFLE
#define SHUFFLE(M, a, b, ...) __builtin_shuffle(a, b, (M){__VA_ARGS__})
#endif
#endif

#undef LANES
#undef V
#undef M
#define LANES (VECTOR_BYTES * 8 / BITS)
#define V NAME(vector)
#define M NAME(mask)

_Static_assert(LANES <= FC_MAX_LANES, "a vector is longer than FC_MAX_LANES, of which the drivers' arrays are made");

typedef T V __attribute__((vector_size(VECTOR_BYTES), aligned(BITS / 8), may_alias));
#if BITS == 32
typedef int32_t M __attribute__((vector_size(VECTOR_BYTES)));
#else
typedef int64_t M __attribute__((vector_size(VECTOR_BYTES)));
#endif

INLINE V NAME(load)(const T *p) { return *(const V *)p; }
INLINE void NAME(store)(T *p, V v) { *(V *)p = v; }
INLINE V NAME(broadcast)(T x) { return x - (V){0}; }
INLINE V NAME(select)(M m, V a, V b) { return (V)((m & (M)a) | (~m & (M)b)); }

/* The even and the odd lanes of two vectors, the lanes' numbers, and the lanes of two vectors in turn. */
#undef EVEN_LANES
#undef ODD_LANES
#undef LANE_NUMBERS
#undef INTERLEAVED_LO
#undef INTERLEAVED_HI
#if LANES == 2
#define EVEN_LANES 0, 2
#define ODD_LANES 1, 3
#define LANE_NUMBERS 0, 1
#define INTERLEAVED_LO 0, 2
#define INTERLEAVED_HI 1, 3
#elif LANES == 4
#define EVEN_LANES 0, 2, 4, 6
#define ODD_LANES 1, 3, 5, 7
#define LANE_NUMBERS 0, 1, 2, 3
#define INTERLEAVED_LO 0, 4, 1, 5
#define INTERLEAVED_HI 2, 6, 3, 7
#elif LANES == 8
#define EVEN_LANES 0, 2, 4, 6, 8, 10, 12, 14
#define ODD_LANES 1, 3, 5, 7, 9, 11, 13, 15
#define LANE_NUMBERS 0, 1, 2, 3, 4, 5, 6, 7
#define INTERLEAVED_LO 0, 8, 1, 9, 2, 10, 3, 11
#define INTERLEAVED_HI 4, 12, 5, 13, 6, 14, 7, 15
#elif LANES == 16
#define EVEN_LANES 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODD_LANES 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#define LANE_NUMBERS 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#define INTERLEAVED_LO 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define INTERLEAVED_HI 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#endif

/* All ones in the lanes from lo until hi. */
INLINE M NAME(lanes_between)(int lo, int hi) {
    M lane = {LANE_NUMBERS};
    return (M)(lane >= lo) & (M)(lane < hi);
}

/* Parts of a vector: nothing outside the lanes named is read or written. Masked loads from AVX2 on, masked stores from AVX-512
 * on: before, they are slow (AMD) or missing. */
#if MASKED_BYTES == 64 && BITS == 32
INLINE V NAME(load_lanes)(const T *p, int lo, int hi, V others) {
    return (V)_mm512_mask_loadu_ps((__m512)others, (__mmask16)(((1u << hi) - 1) & ~((1u << lo) - 1)), p);
}
INLINE void NAME(store_part)(T *p, V v, ptrdiff_t n) {
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
}
#elif MASKED_BYTES == 64
INLINE V NAME(load_lanes)(const T *p, int lo, int hi, V others) {
    return (V)_mm512_mask_loadu_pd((__m512d)others, (__mmask8)(((1u << hi) - 1) & ~((1u << lo) - 1)), p);
}
INLINE void NAME(store_part)(T *p, V v, ptrdiff_t n) {
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
}
#else
#if MASKED_BYTES == 32 && BITS == 32
INLINE V NAME(load_lanes)(const T *p, int lo, int hi, V others) {
    M wanted = NAME(lanes_between)(lo, hi);
    return NAME(select)(wanted, (V)_mm256_maskload_ps(p, (__m256i)wanted), others);
}
#elif MASKED_BYTES == 32
INLINE V NAME(load_lanes)(const T *p, int lo, int hi, V others) {
    M wanted = NAME(lanes_between)(lo, hi);
    return NAME(select)(wanted, (V)_mm256_maskload_pd(p, (__m256i)wanted), others);
}
#else
INLINE V NAME(load_lanes)(const T *p, int lo, int hi, V others) {
    T part[LANES];
    NAME(store)(part, others);
    for (int i = lo; i < hi; i++) part[i] = p[i];
    return NAME(load)(part);
}
#endif
INLINE void NAME(store_part)(T *p, V v, ptrdiff_t n) {
    T part[LANES];
    NAME(store)(part, v);
    for (int i = 0; i < n; i++) p[i] = part[i];
}
#endif

/* The first n lanes, n < LANES; the others are loaded as zeros. */
INLINE V NAME(load_part)(const T *p, ptrdiff_t n) { return NAME(load_lanes)(p, 0, (int)n, (V){0}); }
