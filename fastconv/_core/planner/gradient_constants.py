"""The nanoseconds of each thing that a weight gradient's loops do, on one thread, as in constants.py.

Fitted by ``python -m benchmarks.calibrate --weight-gradient`` to layers that were timed on an Intel Xeon at 2.5 GHz (Cascade Lake);
depthwise, which has no rival, and what a small call and a sum of sums cost Winograd's algorithm by hand; double precision as single.
"""

GRADIENT_CONSTANTS = {
    "baseline": {
        4: {
            "depthwise": {"call": 1000.0, "multiply": 0.9},
            "direct": {"call": 4000.0, "load": 0.185, "load_far": 1.82, "multiply": 0.522, "split": 15.4,
                       "tile": 0.567},
            "winograd": {"band_in_steps": 4.19, "band_of_pixels": 1.47, "band_of_planes": 0.38, "load": 5.72,
                         "multiply": 0.233, "patches": 2.58, "phase": 8000.0, "tile": 0.646, "total": 2.5,
                         "weight": 2.64},
            "product": {"band": 0.141, "band_in_steps": 0.344, "block": 3160.0, "filters_of_pixels": 1.44,
                        "filters_of_planes": 2.78, "load": 2.5, "multiply": 0.246, "pack": 0.537, "pack_run": 12.9,
                        "tile": 6.16},
        },
        8: {
            "depthwise": {"call": 1000.0, "multiply": 0.9},
            "direct": {"call": 4000.0, "load": 0.185, "load_far": 1.82, "multiply": 0.522, "split": 15.4,
                       "tile": 0.567},
            "product": {"band": 0.141, "band_in_steps": 0.344, "block": 3160.0, "filters_of_pixels": 1.44,
                        "filters_of_planes": 2.78, "load": 2.5, "multiply": 0.246, "pack": 0.537, "pack_run": 12.9,
                        "tile": 6.16},
        },
    },
    "avx2": {
        4: {
            "depthwise": {"call": 1000.0, "multiply": 0.5},
            "direct": {"load": 1.0, "load_far": 0.8, "multiply": 0.3, "split": 7.61, "tile": 1.67},
            "winograd": {"band_in_steps": 7.89, "band_of_pixels": 10.4, "band_of_planes": 8.53, "load": 1.65,
                         "multiply": 0.313, "patches": 0.963, "phase": 8000.0, "tile": 2.07, "total": 2.5,
                         "weight": 1.6},
            "product": {"band": 0.248, "band_in_steps": 0.742, "filters_of_pixels": 2.15, "filters_of_planes": 5.09,
                        "load": 0.641, "multiply": 0.178, "pack": 1.87, "pack_run": 20.1, "tile": 5.6},
        },
        8: {
            "depthwise": {"call": 1000.0, "multiply": 0.5},
            "direct": {"load": 1.0, "load_far": 0.8, "multiply": 0.3, "split": 7.61, "tile": 1.67},
            "product": {"band": 0.248, "band_in_steps": 0.742, "filters_of_pixels": 2.15, "filters_of_planes": 5.09,
                        "load": 0.641, "multiply": 0.178, "pack": 1.87, "pack_run": 20.1, "tile": 5.6},
        },
    },
    "avx512": {
        4: {
            "depthwise": {"call": 1000.0, "multiply": 0.4},
            "direct": {"call": 369.0, "load": 2.93, "load_far": 6.7, "multiply": 0.246, "split": 2.85, "tile": 2.45},
            "winograd": {"band_in_steps": 13.9, "band_of_pixels": 3.01, "band_of_planes": 2.8, "load": 4.22,
                         "multiply": 0.276, "patches": 8.09, "phase": 8000.0, "tile": 3.68, "total": 2.5,
                         "weight": 3.25},
            "product": {"band": 0.438, "band_in_steps": 0.427, "filters_of_pixels": 1.2, "filters_of_planes": 8.24,
                        "load": 4.1, "multiply": 0.13, "pack": 2.57, "pack_run": 66.3, "tile": 11.5},
        },
        8: {
            "depthwise": {"call": 1000.0, "multiply": 0.4},
            "direct": {"call": 369.0, "load": 2.93, "load_far": 6.7, "multiply": 0.246, "split": 2.85, "tile": 2.45},
            "product": {"band": 0.438, "band_in_steps": 0.427, "filters_of_pixels": 1.2, "filters_of_planes": 8.24,
                        "load": 4.1, "multiply": 0.13, "pack": 2.57, "pack_run": 66.3, "tile": 11.5},
        },
    },
}
