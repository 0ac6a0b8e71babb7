/* All kernels of one precision and their table. */
#include "simd.h"
#include "elementwise.h"
#include "gemm.h"
#include "dot.h"
#include "weight.h"
#include "pack.h"
#include "lanes.h"
#include "winograd.h"
#include "winograd_rows.h"
#include "contrast.h"
#include "reduce.h"
#include "softmax.h"
#include "norm.h"
#include "curves.h"
#include "prelu.h"
#include "pair_loss.h"
#include "update.h"
#include "row_sums.h"
#include "pool.h"
#include "pool_channels.h"
#include "pool_planes.h"
#include "pool_rows.h"
#include "pool_scatter.h"
#include "resize.h"
#include "depthwise.h"
#include "depthwise_channels.h"

_Static_assert(GEMM_MR <= FC_MAX_MR && CHANNEL_PAIR_MR <= FC_MAX_PAIR_MR, "a tile is taller than the tables of tiles");
_Static_assert(DOT_MOST <= FC_DOT_ROWS && LANES / 2 <= FC_MAX_GROUP, "a kernel takes more than its table says");

static const NAME(fc_kernels) NAME(kernels) = {
    .vector = LANES,
    .mr = GEMM_MR,
    .gemm_tile = {GEMM_ROW(1), GEMM_ROW(2)},
    .outer_tile = {OUTER_ROW(1), OUTER_ROW(2)},
    .pack_rows = NAME(pack_rows),
    .transpose = NAME(transpose),
    .copy_rows = NAME(copy_rows),
    .stream = NAME(stream),
    .put_tile = NAME(put_tile),
    .get_tile = NAME(get_tile),
    .to_lanes = NAME(to_lanes),
    .from_lanes = NAME(from_lanes),
    .split_pixels = NAME(split_pixels),
    .join_pixels = NAME(join_pixels),
    .channel_tile = {CHANNEL_ROW(1), CHANNEL_ROW(2)},
    .pair_mr = CHANNEL_PAIR_MR,
    .narrow_mr = CHANNEL_NARROW_MR,
    .channel_tile_pair = CHANNEL_PAIR_ROW,
    .group_tile = GROUP_TABLE,
    .weight_tile = {WEIGHT_TABLE(1), WEIGHT_TABLE(2)},
    .dot_most = DOT_MOST,
    .dot_rows = DOT_TABLE,
    .sum_rows = {NULL, NAME(sum_rows_1), NAME(sum_rows_2), NAME(sum_rows_3), NAME(sum_rows_4), NAME(sum_rows_5),
                 NAME(sum_rows_6)},
    .winograd = {WINOGRAD_SCHEME(f43, 6, 6, 3, 4), WINOGRAD_SCHEME(f45, 8, 8, 5, 4), WINOGRAD_SCHEME(f43s2, 9, 6, 3, 8),
                 WINOGRAD_SCHEME(f42, 5, 5, 2, 4), WINOGRAD_LINE_SCHEME(f43, row, 6, 3),
                 WINOGRAD_LINE_SCHEME(f45, row, 8, 5), WINOGRAD_LINE_SCHEME(f42, row, 5, 2),
                 WINOGRAD_LINE_SCHEME(f43, column, 6, 3), WINOGRAD_LINE_SCHEME(f45, column, 8, 5),
                 WINOGRAD_LINE_SCHEME(f42, column, 5, 2)},
    .group_products = GROUP_PRODUCTS_TABLE,
    .band_contrast = NAME(band_contrast),
    .plane_contrast = NAME(plane_contrast),
    .tile_contrast = NAME(tile_contrast),
    .add_patches = NAME(f43s2_patches),
    .sum = NAME(sum),
    .activation = {NULL, NAME(relu), NAME(leaky_relu), NAME(sigmoid), NAME(tanh), NAME(relu6)},
    .activation_backward = {NULL, NAME(relu_backward), NAME(leaky_relu_backward), NAME(sigmoid_backward),
                            NAME(tanh_backward), NAME(relu6_backward)},
    .curve = {NAME(elu), NAME(gelu), NAME(gelu_tanh), NAME(silu), NAME(hardswish), NAME(hardsigmoid), NAME(softplus)},
    .curve_backward = {NAME(elu_backward), NAME(gelu_backward), NAME(gelu_tanh_backward), NAME(silu_backward),
                       NAME(hardswish_backward), NAME(hardsigmoid_backward), NAME(softplus_backward)},
    .prelu_pixels = NAME(prelu_pixels),
    .prelu_backward = NAME(prelu_backward),
    .prelu_pixels_backward = NAME(prelu_pixels_backward),
    .pair_loss = {NAME(squared_loss), NAME(absolute_loss), NAME(huber_loss), NAME(logistic_loss)},
    .pair_loss_backward = {NAME(squared_loss_backward), NAME(absolute_loss_backward), NAME(huber_loss_backward),
                           NAME(logistic_loss_backward)},
    .softmax_row = NAME(softmax_row),
    .softmax_row_backward = NAME(softmax_row_backward),
    .softmax_columns = NAME(softmax_columns),
    .softmax_columns_backward = NAME(softmax_columns_backward),
    .log_sum_exp = NAME(log_sum_exp),
    .log_sum_exp_columns = NAME(log_sum_exp_columns),
    .softmax_less = NAME(softmax_less),
    .norm_moments = {NAME(plane_moments), NAME(channel_moments)},
    .norm_gradient_sums = {NAME(plane_gradient_sums), NAME(channel_gradient_sums)},
    .norm_row_sums = NAME(row_gradient_sums),
    .normalise = {NAME(plane_normalise), NAME(channel_normalise)},
    .normalise_backward = {NAME(plane_gradient), NAME(channel_gradient)},
    .sgd = NAME(sgd),
    .adam = NAME(adam),
    .rmsprop = NAME(rmsprop),
    .adagrad = NAME(adagrad),
    .max_across = NAME(max_across),
    .max_widen = NAME(max_widen),
    .max_down = NAME(max_down),
    .sum_across = NAME(sum_across),
    .sum_widen = NAME(sum_widen),
    .mean_down = NAME(mean_down),
    .max_2x2 = NAME(max_2x2),
    .mean_2x2 = NAME(mean_2x2),
    .max_2x2_backward = NAME(max_2x2_backward),
    .mean_2x2_backward = NAME(mean_2x2_backward),
    .scatter = NAME(scatter),
    .spread_row = NAME(spread_row),
    .max_channels = NAME(max_channels),
    .mean_channels = NAME(mean_channels),
    .spread_channels = NAME(spread_channels),
    .max_channels_backward = NAME(max_channels_backward),
    .max_of_run = NAME(max_of_run),
    .max_of_planes = NAME(max_of_planes),
    .mean_of_planes = NAME(mean_of_planes),
    .max_of_row = NAME(max_of_row),
    .sum_of_row = NAME(sum_of_row),
    .mix_pixels = NAME(mix_pixels),
    .add_pixels = NAME(add_pixels),
    .band_copy = NAME(band_copy),
    .band_split = NAME(band_split),
    .band_gather = NAME(band_gather),
    .depthwise = DEPTHWISE_TABLE(depthwise),
    .depthwise_tall = NAME(depthwise_tall),
    .depthwise_pair = NAME(depthwise_pair),
    .depthwise_weight = DEPTHWISE_TABLE(depthwise_weight),
    .depthwise_weight_sum = NAME(depthwise_weight_sum),
    .pack_filters = NAME(pack_filters),
    .slide = SLIDE_TABLE,
    .slide_weight = SLIDE_WEIGHT_TABLE,
    .band_pixels = NAME(band_pixels),
    .depthwise_channels = NAME(depthwise_channels),
    .depthwise_channels_weight = NAME(depthwise_channels_weight),
};
