from fastconv._core.kernels cimport fc_table

cdef const fc_table *kernels   # the table in use; set once, when the module is imported
