/* Update rules of the optimisers, in place: one pass over contiguous arrays. The rules and their order are PyTorch's. */

INLINE T NAME(square_root)(T x) { return sizeof(T) == sizeof(float) ? (T)__builtin_sqrtf(x) : (T)__builtin_sqrt(x); }

/* Stochastic gradient descent with momentum: first, and nesterov, are constants here. */
INLINE void NAME(descend)(const fc_sgd *rule, T *restrict param, const T *restrict grad, T *restrict velocity,
                          ptrdiff_t n, const int first, const int nesterov) {
    const T rate = rule->lr, decay = rule->weight_decay, keep = rule->momentum, take = 1 - rule->dampening;
    for (ptrdiff_t i = 0; i < n; i++) {
        T g = grad[i] + decay * param[i], v = first ? g : keep * velocity[i] + take * g;
        velocity[i] = v;
        param[i] -= rate * (nesterov ? g + keep * v : v);
    }
}

/* Stochastic gradient descent; velocity is NULL without momentum. */
static void NAME(sgd)(const fc_sgd *rule, T *restrict param, const T *restrict grad, T *restrict velocity,
                      ptrdiff_t n) {
    const T rate = rule->lr, decay = rule->weight_decay;
    if (!velocity)
        for (ptrdiff_t i = 0; i < n; i++) param[i] -= rate * (grad[i] + decay * param[i]);
    else if (rule->nesterov)
        rule->first ? NAME(descend)(rule, param, grad, velocity, n, 1, 1)
                    : NAME(descend)(rule, param, grad, velocity, n, 0, 1);
    else
        rule->first ? NAME(descend)(rule, param, grad, velocity, n, 1, 0)
                    : NAME(descend)(rule, param, grad, velocity, n, 0, 0);
}

/* Adam (Kingma and Ba, "Adam: a method for stochastic optimization", 2015), of a parameter that is shrunk first (I. Loshchilov and
 * F. Hutter, "Decoupled weight decay regularization", 2019). */
static void NAME(adam)(const fc_adam *rule, T *restrict param, const T *restrict grad, T *restrict m, T *restrict v,
                       ptrdiff_t n) {
    const T size = rule->step_size, inverse = 1 / rule->root, take1 = 1 - rule->beta1, keep2 = rule->beta2,
            take2 = 1 - rule->beta2, tiny = rule->eps, decay = rule->weight_decay, shrink = rule->shrink;
    for (ptrdiff_t i = 0; i < n; i++) {
        T p = param[i] * shrink, g = grad[i] + decay * p;
        m[i] += take1 * (g - m[i]);
        v[i] = keep2 * v[i] + take2 * (g * g);
        param[i] = p - size * (m[i] / (NAME(square_root)(v[i]) * inverse + tiny));
    }
}

/* RMSprop (T. Tieleman and G. Hinton, lecture 6.5 of "Neural networks for machine learning", 2012): v is a running mean of the
 * gradient's square, m of the gradient where the mean is taken off (NULL otherwise), velocity NULL without momentum. What
 * rounding takes below 0 of a variance is 0. */
static void NAME(rmsprop)(const fc_rmsprop *rule, T *restrict param, const T *restrict grad, T *restrict v,
                          T *restrict m, T *restrict velocity, ptrdiff_t n) {
    const T rate = rule->lr, keep = rule->alpha, take = 1 - rule->alpha, tiny = rule->eps, decay = rule->weight_decay,
            momentum = rule->momentum;
    for (ptrdiff_t i = 0; i < n; i++) {
        T g = grad[i] + decay * param[i], variance;
        v[i] = keep * v[i] + take * (g * g);
        variance = v[i];
        if (m) {
            m[i] += take * (g - m[i]);
            variance -= m[i] * m[i];
            variance = variance < 0 ? 0 : variance;
        }
        T step = g / (NAME(square_root)(variance) + tiny);
        if (velocity) velocity[i] = step = momentum * velocity[i] + step;
        param[i] -= rate * step;
    }
}

/* Adagrad (J. Duchi, E. Hazan and Y. Singer, "Adaptive subgradient methods for online learning and stochastic optimization",
 * 2011). */
static void NAME(adagrad)(const fc_adagrad *rule, T *restrict param, const T *restrict grad, T *restrict sum,
                          ptrdiff_t n) {
    const T rate = rule->lr, tiny = rule->eps, decay = rule->weight_decay;
    for (ptrdiff_t i = 0; i < n; i++) {
        T g = grad[i] + decay * param[i];
        sum[i] += g * g;
        param[i] -= rate * (g / (NAME(square_root)(sum[i]) + tiny));
    }
}
