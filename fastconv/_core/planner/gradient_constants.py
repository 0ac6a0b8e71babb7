"""The nanoseconds of each thing that a weight gradient's loops do, on one thread, as constants.py; and of what a data gradient does
beside the convolutions that it consists of.

Fitted by ``python -m benchmarks.calibrate --weight-gradient`` to layers that were timed on an Intel Xeon at 2.5 GHz (Cascade Lake).
"""

GRADIENT_CONSTANTS = {
    "baseline": {
        4: {
            "depthwise": {"band": 0.281, "band_row": 43.5, "multiply": 0.256, "multiply_square": 0.508,
                          "pixels_call": 43300.0, "pixels_input": 10.1, "pixels_multiply": 0.227, "pixels_row": 108.0,
                          "planes_call": 75000.0, "planes_input": 10.1, "planes_output": 1.13, "scatter": 1.52,
                          "sum": 385.0},
            "direct": {"band_in_steps": 5.52, "band_of_pixels": 3.05, "band_of_planes": 2.97, "band_row": 0.00893,
                       "call": 2270.0, "load": 0.0935, "multiply": 0.443, "multiply_taps": 0.388, "pack_pixels": 2.94,
                       "run": 6.09, "store": 2.01, "tile": 98.5},
            "pixels": {"call": 4000.0, "load": 0.185, "load_far": 1.82, "multiply": 0.522, "split": 15.4,
                       "tile": 0.567},
            "winograd": {"band_in_steps": 4.19, "band_of_pixels": 1.47, "band_of_planes": 0.38, "load": 5.72,
                         "multiply": 0.233, "patches": 2.58, "phase": 8000.0, "tile": 0.646, "total": 2.5,
                         "weight": 2.64},
            "product": {"band_in_steps": 0.36, "band_piece": 7.91, "call": 5900.0, "load": 0.819, "multiply": 0.394,
                        "pack": 1.47, "pack_gradient": 0.577, "pack_run": 2.98, "scatter": 1.03, "sum": 2.17,
                        "tile": 25.6},
        },
        8: {
            "depthwise": {"band": 1.52, "band_in_steps": 13.1, "multiply": 0.541, "multiply_square": 0.5,
                          "pixels_multiply": 0.699, "pixels_row": 319.0, "plane": 237.0, "planes_input": 2.58,
                          "planes_multiply": 0.587, "planes_output": 11.5, "sum": 10.9},
            "direct": {"band_in_steps": 4.71, "band_of_pixels": 4.53, "band_of_planes": 2.05, "band_row": 4.35,
                       "load": 0.0131, "multiply": 0.362, "multiply_taps": 0.494, "pack_pixels": 3.04,
                       "pack_planes": 1.17, "run": 0.808, "scalar": 0.143, "store": 15.3},
            "pixels": {"call": 4000.0, "load": 0.185, "load_far": 1.82, "multiply": 0.522, "split": 15.4,
                       "tile": 0.567},
            "product": {"band_in_steps": 1.15, "block": 2120.0, "multiply": 0.429, "pack": 1.05,
                        "pack_gradient": 1.43, "pack_run": 4.88, "scatter": 0.567, "tile": 45.2},
        },
    },
    "avx2": {
        4: {
            "depthwise": {"band_in_steps": 0.332, "call": 3600.0, "multiply": 0.639, "multiply_square": 0.305,
                          "output": 2.38, "pixels_multiply": 0.845, "pixels_output": 6.03, "plane": 331.0,
                          "planes_call": 5880.0, "planes_input": 1.7, "planes_multiply": 0.651, "planes_output": 5.92,
                          "planes_row": 28.3, "scatter": 1.63, "sum": 14.8},
            "direct": {"band_in_steps": 9.88, "band_of_pixels": 3.69, "band_of_planes": 1.69, "band_row": 10.5,
                       "load": 0.473, "multiply": 0.137, "multiply_taps": 0.176, "pack_pixels": 3.2,
                       "pack_planes": 3.68, "run": 3.85, "scalar": 0.0452, "store": 9.09, "sum": 47.5, "tile": 99.2},
            "pixels": {"load": 1.0, "load_far": 0.8, "multiply": 0.3, "split": 7.61, "tile": 1.67},
            "winograd": {"band_in_steps": 7.89, "band_of_pixels": 10.4, "band_of_planes": 8.53, "load": 1.65,
                         "multiply": 0.313, "patches": 0.963, "phase": 8000.0, "tile": 2.07, "total": 2.5,
                         "weight": 1.6},
            "product": {"band": 0.462, "band_in_steps": 0.71, "band_piece": 3.73, "block": 1480.0, "multiply": 0.2,
                        "pack": 2.43, "pack_gradient": 0.44, "pack_run": 1.92, "scatter": 1.02, "sum": 3.38,
                        "tile": 73.7},
        },
        8: {
            "depthwise": {"band": 0.593, "band_in_steps": 8.23, "multiply": 0.509, "multiply_square": 0.591,
                          "output": 1.64, "pixels_multiply": 1.06, "pixels_row": 56.8, "plane": 105.0,
                          "planes_call": 3660.0, "planes_input": 6.25, "planes_multiply": 0.398,
                          "planes_output": 0.589, "planes_row": 116.0, "sum": 9.97},
            "direct": {"band_in_steps": 6.8, "band_of_pixels": 1.05, "band_of_planes": 2.78, "band_row": 13.5,
                       "block": 100.0, "call": 1950.0, "load": 2.46, "multiply": 0.0588, "pack_pixels": 5.17,
                       "pack_planes": 0.617, "store": 21.2, "sum": 313.0, "tile": 7.64},
            "pixels": {"load": 1.0, "load_far": 0.8, "multiply": 0.3, "split": 7.61, "tile": 1.67},
            "product": {"band_in_steps": 1.17, "multiply": 0.222, "pack": 4.03, "pack_gradient": 0.618,
                        "scatter": 1.25, "sum": 0.153, "tile": 85.8},
        },
    },
    "avx512": {
        4: {
            "depthwise": {"band": 0.00982, "band_in_steps": 0.68, "band_row": 2.31, "multiply": 0.842,
                          "multiply_square": 0.251, "output": 13.0, "pixels_multiply": 1.14, "pixels_row": 126.0,
                          "plane": 12.9, "planes_call": 4540.0, "planes_input": 7.92, "planes_multiply": 0.749,
                          "planes_output": 3.8, "planes_row": 87.6, "scatter": 3.04},
            "direct": {"band_in_steps": 9.46, "band_of_pixels": 0.883, "band_of_planes": 1.46, "band_row": 40.9,
                       "block": 55.5, "multiply": 0.238, "multiply_taps": 0.362, "pack_pixels": 7.65,
                       "pack_planes": 6.19, "run": 2.49, "scalar": 0.116, "store": 23.3, "sum": 82.1, "tile": 57.2},
            "pixels": {"call": 369.0, "load": 2.93, "load_far": 6.7, "multiply": 0.246, "split": 2.85, "tile": 2.45},
            "winograd": {"band_in_steps": 13.9, "band_of_pixels": 3.01, "band_of_planes": 2.8, "load": 4.22,
                         "multiply": 0.276, "patches": 8.09, "phase": 8000.0, "tile": 3.68, "total": 2.5,
                         "weight": 3.25},
            "product": {"band_in_steps": 0.362, "band_piece": 6.28, "block": 1330.0, "multiply": 0.265, "pack": 4.39,
                        "pack_gradient": 0.33, "pack_run": 2.39, "scatter": 0.892, "sum": 2.76, "tile": 234.0},
        },
        8: {
            "depthwise": {"band": 0.284, "band_in_steps": 19.9, "call": 3160.0, "multiply": 0.673,
                          "multiply_square": 0.613, "output": 8.15, "pixels_multiply": 0.615, "pixels_output": 9.41,
                          "pixels_row": 15.2, "planes_input": 13.7, "planes_multiply": 0.588, "planes_output": 5.35,
                          "planes_row": 11.6},
            "direct": {"band_in_steps": 13.5, "band_of_pixels": 2.62, "band_of_planes": 3.93, "band_row": 5.91,
                       "block": 265.0, "multiply": 0.361, "multiply_taps": 0.465, "pack_pixels": 3.54,
                       "pack_planes": 3.7, "run": 3.88, "store": 20.4, "tile": 192.0},
            "pixels": {"call": 369.0, "load": 2.93, "load_far": 6.7, "multiply": 0.246, "split": 2.85, "tile": 2.45},
            "product": {"band": 0.984, "band_in_steps": 0.777, "band_piece": 9.32, "load": 5.25, "multiply": 0.169,
                        "pack": 0.891, "pack_gradient": 0.738, "pack_run": 1.34, "scatter": 1.04, "sum": 3.66,
                        "tile": 305.0},
        },
    },
}

DATA_GRADIENT_CONSTANTS = {
    "pass": 5e3,              # a call of the driver, beside what it does
    "step_of_planes": 2.0,    # an element of grad_x, where a pass writes every S-th column: of planes,
    "step_of_pixels": 0.3,    # of pixels
    "call": 10e3,             # of a driver made for it
    "taps_apart": 4.5,        # a weight of filters whose taps a pass reads some of
    "patches": 40e3,          # a call, beside what the driver does
    "interleave": 1.0,        # an element of grad_x put in its place
    "reorder": 2.0,           # a weight put in its place
}
BY_PATCHES, WINOGRAD_BY_PATCHES = 1.1, 1.3    # factors: block by block a driver is slower, Winograd's filters overlap in borders;
ALL_PHASES, TRANSPOSED = 1.1, 1.13            # tiles are less full; patches are added up
