/* Update rules of the optimisers, in place: one pass over contiguous arrays. The rules and their order are PyTorch's. */

/* Stochastic gradient descent; velocity is NULL without momentum; first: it holds nothing yet. */
static void NAME(sgd)(T *restrict param, const T *restrict grad, T *restrict velocity, ptrdiff_t n, double lr, double momentum,
                      double dampening, double weight_decay, int nesterov, int first) {
    const T rate = lr, decay = weight_decay, keep = momentum, take = 1 - dampening;
    if (!velocity) {
        for (ptrdiff_t i = 0; i < n; i++) param[i] -= rate * (grad[i] + decay * param[i]);
        return;
    }
    if (first)
        for (ptrdiff_t i = 0; i < n; i++) velocity[i] = grad[i] + decay * param[i];
    else
        for (ptrdiff_t i = 0; i < n; i++) velocity[i] = keep * velocity[i] + take * (grad[i] + decay * param[i]);
    if (nesterov)
        for (ptrdiff_t i = 0; i < n; i++) param[i] -= rate * (grad[i] + decay * param[i] + keep * velocity[i]);
    else
        for (ptrdiff_t i = 0; i < n; i++) param[i] -= rate * velocity[i];
}

/* Adam (Kingma and Ba, "Adam: a method for stochastic optimization", 2015). step_size is lr over the first moment's bias
 * correction, root the square root of the second's. */
static void NAME(adam)(T *restrict param, const T *restrict grad, T *restrict m, T *restrict v, ptrdiff_t n, double step_size,
                       double root, double beta1, double beta2, double eps, double weight_decay) {
    const T size = step_size, correction = root, take1 = 1 - beta1, keep2 = beta2, take2 = 1 - beta2, tiny = eps,
            decay = weight_decay;
    for (ptrdiff_t i = 0; i < n; i++) {
        T g = grad[i] + decay * param[i];
        m[i] += take1 * (g - m[i]);
        v[i] = keep2 * v[i] + take2 * (g * g);
        T deviation = sizeof(T) == sizeof(float) ? (T)__builtin_sqrtf(v[i]) : (T)__builtin_sqrt(v[i]);
        param[i] -= size * (m[i] / (deviation / correction + tiny));
    }
}
