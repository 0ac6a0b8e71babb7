/* Which activations, losses and update rules there are, and their options, also of resizing: a part of the contract in kernels.h. */
#ifndef FASTCONV_POINTWISE_H
#define FASTCONV_POINTWISE_H

#include <stddef.h>

/* The activations; no kernel for FC_IDENTITY. */
enum { FC_IDENTITY, FC_RELU, FC_LEAKY_RELU, FC_SIGMOID, FC_TANH, FC_RELU6, FC_ACTIVATIONS };

/* What becomes of the sums of a tile: FC_RELU and so on, or FC_IDENTITY; the slope is for FC_LEAKY_RELU. */
typedef struct {
    int kind;
    double slope;
} fc_activation;

/* The activations that no epilogue has: see curves.h. */
enum { FC_ELU, FC_GELU, FC_GELU_TANH, FC_SILU, FC_HARDSWISH, FC_HARDSIGMOID, FC_SOFTPLUS, FC_CURVES };

/* The losses of pairs of numbers: see pair_loss.h. */
enum { FC_SQUARED, FC_ABSOLUTE, FC_HUBER, FC_LOGISTIC, FC_PAIR_LOSSES };

/* curve: alpha of FC_ELU, the others of FC_SOFTPLUS. */
typedef struct {
    double alpha, beta, threshold;
} fc_curve;

/* pair_loss: where FC_HUBER ends to be a parabola, by what that is multiplied, and its slope beyond. Of FC_LOGISTIC for each pair
 * how it counts, and how its positive part counts; either may be NULL. `share` is the gradient with respect to each loss. */
typedef struct {
    double delta, scale, slope;
    const void *weight, *pos_weight;
    double share;
} fc_pair_loss;

/* resize.h: a row of outputs from two rows of pixels, of which each takes `down` of the lower one. Where each finds its two
 * columns, and what part of the second it takes: what has no part is not read; step: from one output to the next. */
typedef struct {
    const ptrdiff_t *left, *right; /* [pixels]: offsets in a row of x */
    const double *across;
    ptrdiff_t pixels, channels, step;
} fc_mixing;

/* resize.h: grad_x[i], i < n, is the weighted sum of the gradients of the outputs that look at a pixel: how many rows and columns of
 * them, how far apart, and their weights. */
typedef struct {
    ptrdiff_t rows, columns, row, column;
    const double *down, *across;
} fc_adding;

/* The update rules, by PyTorch's names. */
typedef struct {
    double lr, momentum, dampening, weight_decay;
    int nesterov, first; /* first: the velocity holds nothing yet */
} fc_sgd;
typedef struct {
    double step_size, root; /* lr over the first moment's bias correction, the square root of the second's */
    double beta1, beta2, eps, weight_decay, shrink; /* shrink: what a parameter is multiplied by first */
} fc_adam;
typedef struct {
    double lr, alpha, eps, weight_decay, momentum;
} fc_rmsprop;
typedef struct {
    double lr, eps, weight_decay; /* lr: that of this step */
} fc_adagrad;

/* norm.h: how x becomes (x - centre) * scale + shift, then through a ReLU, or times weight + bias (NULL: none) along its row; and
 * grad, which is g in front of the ReLU, or times weight, becomes g * scale + (x - centre) * slope + offset. */
typedef struct {
    const void *centre, *scale, *shift, *slope, *offset, *weight, *bias; /* arrays of T */
    double *sums, *products;
    ptrdiff_t planes, n, x, grad,
        y; /* planes, or pixels, and elements of each; from one to the next in x, grad and the result */
    int relu;
} fc_norm;

#endif
