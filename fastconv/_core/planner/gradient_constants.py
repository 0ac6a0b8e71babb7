"""The nanoseconds of each thing that a weight gradient's loops do, on one thread, as in constants.py.

Fitted by ``python -m benchmarks.calibrate --weight-gradient`` to layers that were timed on an Intel Xeon at 2.5 GHz (Cascade Lake);
depthwise, which has no rival, and direct, which has one, by hand; double precision as single.
"""

GRADIENT_CONSTANTS = {
    "baseline": {
        4: {
            "depthwise": {"call": 1000.0, "multiply": 0.9},
            "direct": {"call": 2000.0, "load": 1.0, "multiply": 0.45, "split": 8.0, "tile": 4.0},
            "winograd": {"band_in_steps": 4.14, "band_of_pixels": 1.7, "band_of_planes": 0.551, "load": 5.64,
                         "multiply": 0.23, "patches": 2.54, "tile": 0.652, "total": 41.6, "weight": 2.67},
            "product": {"band": 0.156, "band_in_steps": 0.411, "block": 2740.0, "filters_of_pixels": 1.54,
                        "filters_of_planes": 3.03, "load": 2.33, "multiply": 0.243, "pack": 0.594, "pack_run": 14.1,
                        "tile": 6.9},
        },
        8: {
            "depthwise": {"call": 1000.0, "multiply": 0.9},
            "direct": {"call": 2000.0, "load": 1.0, "multiply": 0.45, "split": 8.0, "tile": 4.0},
            "product": {"band": 0.156, "band_in_steps": 0.411, "block": 2740.0, "filters_of_pixels": 1.54,
                        "filters_of_planes": 3.03, "load": 2.33, "multiply": 0.243, "pack": 0.594, "pack_run": 14.1,
                        "tile": 6.9},
        },
    },
    "avx2": {
        4: {
            "depthwise": {"call": 1000.0, "multiply": 0.5},
            "direct": {"call": 2000.0, "load": 1.0, "multiply": 0.19, "split": 8.0, "tile": 4.0},
            "winograd": {"band_in_steps": 7.67, "band_of_pixels": 10.1, "band_of_planes": 8.51, "load": 1.72,
                         "multiply": 0.296, "patches": 1.11, "tile": 1.96, "total": 59.0, "weight": 1.76},
            "product": {"band": 0.0849, "band_in_steps": 0.597, "filters_of_pixels": 1.54, "filters_of_planes": 4.95,
                        "load": 1.28, "multiply": 0.108, "pack": 2.12, "pack_run": 23.9, "tile": 6.17},
        },
        8: {
            "depthwise": {"call": 1000.0, "multiply": 0.5},
            "direct": {"call": 2000.0, "load": 1.0, "multiply": 0.19, "split": 8.0, "tile": 4.0},
            "product": {"band": 0.0849, "band_in_steps": 0.597, "filters_of_pixels": 1.54, "filters_of_planes": 4.95,
                        "load": 1.28, "multiply": 0.108, "pack": 2.12, "pack_run": 23.9, "tile": 6.17},
        },
    },
    "avx512": {
        4: {
            "depthwise": {"call": 1000.0, "multiply": 0.4},
            "direct": {"call": 2000.0, "load": 3.3, "multiply": 0.132, "split": 8.0, "tile": 4.0},
            "winograd": {"band_in_steps": 13.0, "band_of_pixels": 3.35, "band_of_planes": 3.11, "load": 4.39,
                         "multiply": 0.254, "patches": 8.05, "tile": 3.85, "total": 11.4, "weight": 3.2},
            "product": {"band": 0.449, "band_in_steps": 0.49, "filters_of_pixels": 1.25, "filters_of_planes": 8.69,
                        "load": 3.32, "multiply": 0.132, "pack": 2.7, "pack_run": 71.5, "tile": 13.2},
        },
        8: {
            "depthwise": {"call": 1000.0, "multiply": 0.4},
            "direct": {"call": 2000.0, "load": 3.3, "multiply": 0.132, "split": 8.0, "tile": 4.0},
            "product": {"band": 0.449, "band_in_steps": 0.49, "filters_of_pixels": 1.25, "filters_of_planes": 8.69,
                        "load": 3.32, "multiply": 0.132, "pack": 2.7, "pack_run": 71.5, "tile": 13.2},
        },
    },
}
