"""The largest of each 2 x 2 window of many images, each image in a thread of its own: fastconv without the GIL."""

from cython.parallel cimport prange

cimport fastconv
from fastconv cimport fastconv_error, fastconv_plan, fastconv_pool2d

cdef const fastconv.fastconv_api *fc = fastconv.fastconv_import()


def halved(float[:, :, ::1] images, float[:, :, ::1] result, int threads):
    """Fills result (N, H // 2, W // 2) from images (N, H, W)."""
    cdef fastconv_pool2d problem = fastconv.fastconv_pool2d_defaults(fastconv.FASTCONV_FLOAT32)
    cdef fastconv_plan *plan
    cdef fastconv_error error
    cdef Py_ssize_t n, count = images.shape[0]
    cdef int failed = 0
    problem.x_shape = [1, 1, images.shape[1], images.shape[2]]
    problem.kernel_size = [2, 2]
    if fc.plan_max_pool2d(&problem, &plan, &error):
        raise ValueError(error.message.decode())
    try:
        if (result.shape[0], result.shape[1], result.shape[2]) != (count, images.shape[1] // 2, images.shape[2] // 2):
            raise ValueError("result must have half the rows and columns of images")
        for n in prange(count, nogil=True, num_threads=threads):
            fc.set_thread_limit(1, NULL)    # these threads are ours: each call uses one
            failed += fc.max_pool2d(plan, &images[n, 0, 0], &result[n, 0, 0], NULL, NULL)
    finally:
        fc.free_plan(plan)
    fc.set_thread_limit(0, NULL)    # one of them was this thread
    if failed:
        raise RuntimeError("an image could not be pooled")
