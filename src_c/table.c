/* One instruction set: compiled once for each, with its flags and -DFC_ISA=<name>. Everything is static but the table;
 * otherwise the linker could merge two instruction sets' copies of one inline function. */
#include "kernels.h"

#define GLUE_(a, b) a##b
#define GLUE(a, b) GLUE_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

#define T float
#define BITS 32
#define NAME(x) GLUE(x, _f32)
#include "precision.h"

#undef T
#undef BITS
#undef NAME
#define T double
#define BITS 64
#define NAME(x) GLUE(x, _f64)
#include "precision.h"

const fc_table GLUE(fc_table_, FC_ISA) = {
    .name = TEXT(FC_ISA),
    .f32 = kernels_f32,
    .f64 = kernels_f64,
};
