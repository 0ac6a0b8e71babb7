/* Which instruction sets were compiled in and which of them this CPU has. Baseline code: runs before any choice. */
#include "kernels.h"

#ifdef FC_HAVE_BASELINE
extern const fc_table fc_table_baseline;
#endif
#ifdef FC_HAVE_AVX2
extern const fc_table fc_table_avx2;
#endif
#ifdef FC_HAVE_AVX512
extern const fc_table fc_table_avx512;
#endif
#ifdef FC_HAVE_NEON
extern const fc_table fc_table_neon;
#endif

static int always(void) { return 1; }

#if defined(__x86_64__)
/* __builtin_cpu_supports also asks the operating system whether it saves the wider registers. */
static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
static int has_avx512(void) {
#ifdef FC_HAVE_AVX512 /* a compiler without it may not know these names either */
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
#else
    return 0;
#endif
}
#endif

static const struct {
    const char *name;
    int (*supported)(void);
    const fc_table *table;
} instruction_sets[] = {
#if defined(__aarch64__)
#ifdef FC_HAVE_NEON
    {"neon", always, &fc_table_neon},
#endif
#else
#ifdef FC_HAVE_BASELINE
    {"baseline", always, &fc_table_baseline},
#endif
#if defined(__x86_64__)
#ifdef FC_HAVE_AVX2
    {"avx2", has_avx2, &fc_table_avx2},
#else
    {"avx2", has_avx2, NULL},
#endif
#ifdef FC_HAVE_AVX512
    {"avx512", has_avx512, &fc_table_avx512},
#else
    {"avx512", has_avx512, NULL},
#endif
#endif
#endif
};

int fc_isa_count(void) { return (int)(sizeof instruction_sets / sizeof instruction_sets[0]); }
const char *fc_isa_name(int index) { return instruction_sets[index].name; }
int fc_isa_supported(int index) { return instruction_sets[index].supported(); }
const fc_table *fc_isa_table(int index) { return instruction_sets[index].table; }

/* Intel's processors and AMD's run the same instructions at other costs: AVX-512 multiplies twice a cycle, or once. */
int fc_isa_of_intel(void) {
#if defined(__x86_64__)
    return __builtin_cpu_is("intel") != 0;
#else
    return 0;
#endif
}
