/* Update rules of the optimisers, in place: one pass over contiguous arrays. The rules and their order are PyTorch's. */

/* Stochastic gradient descent; velocity is NULL without momentum. */
static void NAME(sgd)(const fc_sgd *rule, T *restrict param, const T *restrict grad, T *restrict velocity, ptrdiff_t n) {
    const T rate = rule->lr, decay = rule->weight_decay, keep = rule->momentum, take = 1 - rule->dampening;
    const int nesterov = rule->nesterov, first = rule->first;
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

/* Adam (Kingma and Ba, "Adam: a method for stochastic optimization", 2015). */
static void NAME(adam)(const fc_adam *rule, T *restrict param, const T *restrict grad, T *restrict m, T *restrict v,
                       ptrdiff_t n) {
    const T size = rule->step_size, correction = rule->root, take1 = 1 - rule->beta1, keep2 = rule->beta2,
            take2 = 1 - rule->beta2, tiny = rule->eps, decay = rule->weight_decay;
    for (ptrdiff_t i = 0; i < n; i++) {
        T g = grad[i] + decay * param[i];
        m[i] += take1 * (g - m[i]);
        v[i] = keep2 * v[i] + take2 * (g * g);
        T deviation = sizeof(T) == sizeof(float) ? (T)__builtin_sqrtf(v[i]) : (T)__builtin_sqrt(v[i]);
        param[i] -= size * (m[i] / (deviation / correction + tiny));
    }
}
